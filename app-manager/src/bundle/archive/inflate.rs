//! Inflating everything once, counting: declared sizes and checksums may lie.

use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::read::ZipReadOptions;

use super::entry::Entry;
use super::{Error, malformed_by_crate, one_line};

const PIECE: usize = 64 * 1024;

/// Inflates every entry. The declared sizes were checked against the limits; here each entry must have
/// exactly the size and the checksum that it declares.
pub(super) fn check<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    entries: &[Entry],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    for (index, entry) in entries.iter().enumerate() {
        let mut file = zip.by_index(index).map_err(malformed_by_crate)?;
        let inflated = read_up_to(&mut file, entry, &mut piece, is_cancelled)?;
        if inflated < entry.size {
            return Err(Error::Malformed(format!("{} is shorter than it says", entry.shown())));
        }
        // Here the end is found and the checksum compared, or there is more, and the crate refuses.
        let ended = file.read(&mut [0]);
        drop(file);
        match ended {
            Ok(0) => {}
            Ok(_) => return Err(lies(entry)),
            Err(err) if goes_on(zip, index, entry, &mut piece, is_cancelled)? => {
                tracing::debug!(error = &err as &dyn std::error::Error, "an entry goes on");
                return Err(lies(entry));
            }
            Err(err) => return Err(damaged(entry, err)),
        }
    }
    Ok(())
}

/// Reads as many bytes as the entry declares, or fewer if it ends.
fn read_up_to(
    file: &mut impl Read,
    entry: &Entry,
    piece: &mut [u8],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<u64, Error> {
    let mut file = file.take(entry.size);
    let mut inflated = 0;
    loop {
        if is_cancelled() {
            return Err(Error::OutOfTime);
        }
        match file.read(piece).map_err(|err| damaged(entry, err))? {
            0 => return Ok(inflated),
            count => inflated += count as u64,
        }
    }
}

/// Whether there is more behind the declared bytes: then it was not the checksum that was refused.
fn goes_on<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    index: usize,
    entry: &Entry,
    piece: &mut [u8],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    let options = ZipReadOptions::new().ignore_crc32(true);
    let mut file = zip.by_index_with_options(index, options).map_err(malformed_by_crate)?;
    read_up_to(&mut file, entry, piece, is_cancelled)?;
    Ok(file.read(&mut [0]).is_err())
}

fn lies(entry: &Entry) -> Error {
    Error::TooLarge(format!("{} is larger than the {} bytes it says", entry.shown(), entry.size))
}

fn damaged(entry: &Entry, err: io::Error) -> Error {
    if err.raw_os_error().is_some() {
        return Error::Unreadable(err);
    }
    Error::Malformed(format!("{} is damaged: {}", entry.shown(), one_line(&err.to_string())))
}
