//! Zips within the zip. They stay plain files and are never unpacked here; but one that says it unpacks to
//! more than a whole bundle may hold, at any depth, is there to fill whoever unpacks it.

use std::io::{Cursor, Read, Seek};

use zip::ZipArchive;

use super::entry::Entry;
use super::{Error, Limits, directory, end};

/// What is held in memory at once: a zip, and those that it was found in.
const ROOM: u64 = 8 * 1024 * 1024;
/// What is inflated to look into, all together. Whatever is behind it stays as unknown as any other file.
const LOOKED_AT: u64 = 64 * 1024 * 1024;

/// Looks into the zips of a checked archive.
pub(super) fn check<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    entries: &[Entry],
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    Look { limits, is_cancelled, left: LOOKED_AT }.each(zip, entries, ROOM)
}

struct Look<'a> {
    limits: &'a Limits,
    is_cancelled: &'a dyn Fn() -> bool,
    left: u64,
}

impl Look<'_> {
    fn each<R: Read + Seek>(
        &mut self,
        zip: &mut ZipArchive<R>,
        entries: &[Entry],
        room: u64,
    ) -> Result<(), Error> {
        for (index, entry) in entries.iter().enumerate() {
            if (self.is_cancelled)() {
                return Err(Error::OutOfTime);
            }
            let is_zip = entry.name.to_ascii_lowercase().ends_with(b".zip");
            if !is_zip || entry.size > room.min(self.left) {
                continue;
            }
            self.left -= entry.size;
            if let Some(inner) = content(zip, index, entry.size) {
                self.one(inner, entry, room - entry.size)?;
            }
        }
        Ok(())
    }

    /// What cannot be read as a zip is a file like any other.
    fn one(&mut self, inner: Vec<u8>, outer: &Entry, room: u64) -> Result<(), Error> {
        let mut reader = Cursor::new(inner);
        let Ok(end) = end::read(&mut reader, self.limits) else { return Ok(()) };
        let Ok(entries) = directory::read(&mut reader, &end) else { return Ok(()) };
        let total = entries.iter().fold(0_u64, |total, entry| total.saturating_add(entry.size));
        if total > self.limits.total_bytes {
            return Err(Error::TooLarge(format!(
                "{} is an archive of {total} bytes; all files together may have {}",
                outer.shown(),
                self.limits.total_bytes
            )));
        }
        let Ok(mut zip) = ZipArchive::new(reader) else { return Ok(()) };
        self.each(&mut zip, &entries, room)
    }
}

/// None if it does not have the size that it says.
fn content<R: Read + Seek>(zip: &mut ZipArchive<R>, index: usize, size: u64) -> Option<Vec<u8>> {
    let file = zip.by_index(index).ok()?;
    let mut content = Vec::new();
    file.take(size).read_to_end(&mut content).ok()?;
    (content.len() as u64 == size).then_some(content)
}
