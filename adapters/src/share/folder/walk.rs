//! Going through a folder: what counts is listed with the digest of its bytes, what leads elsewhere is refused.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use common::digest::Digest;
use common::port::share::{Entry, Error, FileName, Folder, Limits, Listing, Unfit, Version};
use rustix::fs::{AtFlags, Dir, FileType, Mode, openat, statat};
use sha2::{Digest as _, Sha256};

use super::{FILE, FolderShare, descend};

/// How many bytes are read and hashed at once.
const PIECE: usize = 128 * 1024;

/// A folder that is gone through.
pub(super) struct Walk {
    listing: Listing,
    file_bytes: u64,
    /// The folders that are still to be looked into, by their paths below the first.
    folders: Vec<String>,
}

impl Walk {
    /// The files below a folder. Blocks.
    pub(super) fn over(
        share: &FolderShare,
        folder: &Folder,
        limits: &Limits,
    ) -> Result<Vec<Entry>, Error> {
        let mut walk = Walk {
            listing: Listing::begin(&share.place, folder, limits),
            file_bytes: limits.file_bytes,
            folders: vec![String::new()],
        };
        while let Some(path) = walk.folders.pop() {
            let looked = walk.look_into(share, folder, &path);
            looked.map_err(|stop| match stop {
                Stop::System(err) => share.failed(&err, folder),
                Stop::Port(err) => err,
            })?;
        }
        walk.listing.finish()
    }

    fn look_into(&mut self, share: &FolderShare, top: &Folder, path: &str) -> Result<(), Stop> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let folder = descend(share.open(top)?, segments)?;
        for found in Dir::read_from(&folder).map_err(io::Error::from)? {
            let found = found.map_err(io::Error::from)?;
            let name = found.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if name.starts_with(b".") {
                self.listing.pass_over()?;
                continue;
            }
            let lossy = String::from_utf8_lossy(name);
            let below = if path.is_empty() { lossy.into() } else { format!("{path}/{lossy}") };
            let fit = std::str::from_utf8(name).map_err(|_| Unfit::NotText);
            fit.and_then(|_| below.parse::<FileName>())
                .map_err(|why| self.listing.refused(&below, why))?;
            self.take(&folder, name, below)?;
        }
        Ok(())
    }

    fn take(&mut self, folder: &OwnedFd, name: &[u8], below: String) -> Result<(), Stop> {
        let kept = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
        match FileType::from_raw_mode(kept.st_mode) {
            FileType::RegularFile => {
                let file = openat(folder, name, FILE, Mode::empty()).map_err(io::Error::from)?;
                let (size, version) = self.look_at(File::from(file))?;
                self.listing.add(&below, size, version)?;
            }
            FileType::Directory => {
                self.listing.pass_over()?;
                self.folders.push(below);
            }
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                return Err(self.listing.refused(&below, Unfit::NotAFile).into());
            }
        }
        Ok(())
    }

    /// The size and the digest of a file. Of one that is too large no more is read than it takes to see that.
    fn look_at(&self, file: File) -> io::Result<(u64, Version)> {
        let mut file = file.take(self.file_bytes.saturating_add(1));
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut size = 0;
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                let digest = Digest::from_sha256(hash.finalize().into());
                return Ok((size, Version::new(digest.as_str())));
            }
            size += length as u64;
            hash.update(piece.get(..length).unwrap_or_default());
        }
    }
}

/// What ends a walk early: the file system, or what was found in it.
enum Stop {
    System(io::Error),
    Port(Error),
}

impl From<io::Error> for Stop {
    fn from(err: io::Error) -> Self {
        Stop::System(err)
    }
}

impl From<Error> for Stop {
    fn from(err: Error) -> Self {
        Stop::Port(err)
    }
}
