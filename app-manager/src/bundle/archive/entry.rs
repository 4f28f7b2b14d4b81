//! One entry as the central directory describes it, and what an entry may be.

use common::problem::excerpt;

use super::{Error, Limits};

const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const SET_ID: u32 = 0o6_000;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Flags of an entry.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Its sizes stand behind its data, not in its local header.
pub(super) const TRAILING_DESCRIPTOR: u16 = 1 << 3;
/// What compressors note about themselves; the two headers of an entry may differ in it.
pub(super) const COMPRESSOR_NOTES: u16 = 0b110;

/// Extra fields that hold the target of a link.
const LINK_FIELDS: [u16; 2] = [0x000d, 0x756e];

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it stands in the archive.
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// Unix mode, where the archive has one, else 0.
    pub(super) mode: u32,
    pub(super) extra_kinds: Vec<u16>,
    /// Where its local header begins.
    pub(super) offset: u64,
    /// Where its data begins; known after the local header was read.
    pub(super) data_start: u64,
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.name.last() == Some(&b'/')
    }

    /// Its name, short and harmless.
    pub(super) fn shown(&self) -> String {
        format!("\"{}\"", excerpt(&String::from_utf8_lossy(&self.name)))
    }
}

/// Refuses what says itself that it is too large, before a byte of it is inflated.
pub(super) fn check_sizes(entries: &[Entry], limits: &Limits) -> Result<(), Error> {
    let mut total = 0_u64;
    for entry in entries {
        total = total.saturating_add(entry.size);
        if entry.size > limits.file_bytes {
            return Err(Error::TooLarge(format!(
                "{} has {} bytes; a file may have {}",
                entry.shown(),
                entry.size,
                limits.file_bytes
            )));
        }
        let allowed = entry.compressed.saturating_mul(limits.ratio).max(limits.ratio_from);
        if entry.size > allowed {
            return Err(Error::TooLarge(format!(
                "{} is compressed more than {} times",
                entry.shown(),
                limits.ratio
            )));
        }
    }
    if total > limits.total_bytes {
        return Err(Error::TooLarge(format!(
            "the files have {total} bytes together; they may have {}",
            limits.total_bytes
        )));
    }
    Ok(())
}

/// Only plain files and folders, stored or deflated, in the clear.
pub(super) fn check_kinds(entries: &[Entry]) -> Result<(), Error> {
    for entry in entries {
        if entry.flags & ENCRYPTED != 0 {
            return Err(Error::Malformed(format!("{} is encrypted", entry.shown())));
        }
        if !matches!(entry.method, STORED | DEFLATED) {
            return Err(Error::Malformed(format!(
                "{} is compressed by method {}; only store and deflate are taken",
                entry.shown(),
                entry.method
            )));
        }
        if entry.method == STORED && entry.size != entry.compressed {
            return Err(Error::Malformed(format!("{} has two sizes", entry.shown())));
        }
        check_mode(entry)?;
        if entry.extra_kinds.iter().any(|kind| LINK_FIELDS.contains(kind)) {
            return Err(Error::EntryForbidden(format!("{} may be a link", entry.shown())));
        }
    }
    Ok(())
}

fn check_mode(entry: &Entry) -> Result<(), Error> {
    let forbidden = |what: &str| {
        let text = format!("{} is {what}; only plain files and folders are taken", entry.shown());
        Err(Error::EntryForbidden(text))
    };
    match entry.mode & FILE_TYPE {
        0 => {}
        REGULAR if !entry.is_folder() => {}
        FOLDER if entry.is_folder() => {}
        REGULAR | FOLDER => {
            return Err(Error::Malformed(format!("{} is both file and folder", entry.shown())));
        }
        0o120_000 => return forbidden("a symbolic link"),
        0o020_000 | 0o060_000 => return forbidden("a device"),
        0o010_000 => return forbidden("a pipe"),
        0o140_000 => return forbidden("a socket"),
        _ => return forbidden("of an unknown kind"),
    }
    if !entry.is_folder() && entry.mode & SET_ID != 0 {
        return forbidden("a file with the set-user-id or set-group-id bit");
    }
    if entry.is_folder() && entry.size != 0 {
        return Err(Error::Malformed(format!("the folder {} has content", entry.shown())));
    }
    Ok(())
}
