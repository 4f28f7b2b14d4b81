//! Checking an uploaded zip, entry by entry, before anything in it is believed.
//!
//! The walk is our own: the end record, the central directory and every local header are read and
//! compared here, within bounds, before the `zip` crate sees the archive; the crate only inflates, and
//! must agree on every entry. Nothing is ever extracted. `reliability.md` 3.2 is the rule book.

mod bytes;
mod directory;
mod end;
mod entry;
mod inflate;
mod local;
mod nested;
mod path;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use self::entry::Entry;

/// What an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Files and folders together.
    pub(crate) entries: u64,
    /// The central directory, names and comments included, in bytes.
    pub(crate) directory_bytes: u64,
    /// All files together, inflated.
    pub(crate) total_bytes: u64,
    /// One file, inflated.
    pub(crate) file_bytes: u64,
    /// How many times larger than its compressed form a file may be, once it is larger than `ratio_from`.
    pub(crate) ratio: u64,
    pub(crate) ratio_from: u64,
    /// A path, in bytes.
    pub(crate) path_bytes: usize,
    /// How many folders deep.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 10_000,
            directory_bytes: 4 * MIB,
            total_bytes: 1024 * MIB,
            file_bytes: 256 * MIB,
            ratio: 200,
            ratio_from: 10 * MIB,
            path_bytes: 240,
            depth: 20,
        }
    }
}

const MIB: u64 = 1024 * 1024;

/// Why an archive is refused. Each text is for people and safe to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A path that leads, or could lead, out of the bundle.
    #[error("{0}")]
    PathEscape(String),
    /// An entry that is neither a plain file nor a folder, or is named so that it deceives.
    #[error("{0}")]
    EntryForbidden(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    TooManyEntries(String),
    #[error("{0}")]
    Malformed(String),
    /// Nobody waits for the result any more, or its time is over.
    #[error("the archive could not be checked in time")]
    OutOfTime,
    /// The uploaded file itself could not be read: not the uploader's fault.
    #[error("the uploaded file cannot be read")]
    Unreadable(#[source] io::Error),
}

/// An archive that was checked.
pub(crate) struct Archive<R> {
    zip: ZipArchive<R>,
    /// The paths of the files, with their place in the archive.
    files: BTreeMap<String, usize>,
}

/// Checks all of an archive: structure, names, kinds, sizes, and every byte by inflating it.
/// `is_cancelled` is asked again and again.
pub(crate) fn check<R: Read + Seek>(
    mut reader: R,
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Archive<R>, Error> {
    let end = end::read(&mut reader, limits)?;
    let mut entries = directory::read(&mut reader, &end)?;
    entry::check_sizes(&entries, limits)?;
    path::check_names(&entries, limits)?;
    entry::check_kinds(&entries)?;
    local::check(&mut reader, &mut entries, end.directory.start)?;
    let mut zip = ZipArchive::new(reader).map_err(malformed_by_crate)?;
    let paths = agree(&mut zip, &entries)?;
    let files = path::check(&paths, &entries, limits)?;
    inflate::check(&mut zip, &entries, is_cancelled)?;
    nested::check(&mut zip, &entries, limits, is_cancelled)?;
    Ok(Archive { zip, files })
}

/// The crate must see the very entries that were checked; its names are what others will extract.
fn agree<R: Read + Seek>(zip: &mut ZipArchive<R>, entries: &[Entry]) -> Result<Vec<String>, Error> {
    if zip.len() != entries.len() || zip.offset() != 0 {
        return Err(Error::Malformed("two entries have the same name".to_owned()));
    }
    let mut paths = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let seen = zip.by_index_raw(index).map_err(malformed_by_crate)?;
        let same = seen.name_raw() == entry.name.as_slice()
            && seen.header_start() == entry.offset
            && seen.compressed_size() == entry.compressed
            && seen.size() == entry.size
            && seen.crc32() == entry.crc
            && seen.data_start() == Some(entry.data_start);
        let name = seen.name().map_err(malformed_by_crate)?;
        if !same {
            return Err(Error::Malformed(format!(
                "the entry {} is not described the same way everywhere",
                entry.shown()
            )));
        }
        paths.push(name.into_owned());
    }
    Ok(paths)
}

impl<R: Read + Seek> Archive<R> {
    /// The paths of all files, sorted; folders are not listed.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// How many bytes a file has; none if there is no such file.
    pub(crate) fn size(&mut self, path: &str) -> Option<u64> {
        let index = self.files.get(path)?;
        self.zip.by_index_raw(*index).ok().map(|file| file.size())
    }

    /// A file's bytes; none if there is no such file. A file larger than `limit` is an `Err`.
    pub(crate) fn read(&mut self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, TooLong> {
        let Some(index) = self.files.get(path) else { return Ok(None) };
        let file = self.zip.by_index(*index).map_err(|_| TooLong)?;
        if file.size() > limit {
            return Err(TooLong);
        }
        let mut content = Vec::new();
        file.take(limit + 1).read_to_end(&mut content).map_err(|_| TooLong)?;
        Ok(Some(content))
    }
}

/// A file is longer than its reader takes, or cannot be read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl<R> std::fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

fn malformed_by_crate(err: ZipError) -> Error {
    if let ZipError::Io(source) = err {
        if source.raw_os_error().is_some() {
            return Error::Unreadable(source);
        }
        return Error::Malformed(format!(
            "the archive is damaged: {}",
            one_line(&source.to_string())
        ));
    }
    Error::Malformed(format!("the archive is damaged: {}", one_line(&err.to_string())))
}

/// Text of others in a sentence of ours.
fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests;
