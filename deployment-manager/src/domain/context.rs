//! The build context: a tar archive made from a stored zip, entry by entry, within bounds. Nothing
//! touches a file system. Times, owners and modes are the same for everybody, so that layers are
//! found again.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use zip::ZipArchive;

/// More entries than this no bundle has: it was checked when it was uploaded.
const MOST_ENTRIES: usize = 10_000;

/// What an entry takes besides its content: a header, and the rest of its last block.
const ENTRY_BYTES: usize = 1024;
/// The `Dockerfile`, the folders, the end.
const FEW_ENTRIES: usize = 8;

/// Why a bundle cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the bundle is not a zip archive any more")]
    Archive(#[source] zip::result::ZipError),
    #[error("the bundle cannot be unpacked")]
    Content(#[source] io::Error),
    #[error("the bundle holds more than {most} bytes")]
    TooLarge { most: u64 },
    #[error("the bundle holds more than {MOST_ENTRIES} files")]
    TooMany,
    #[error("the bundle holds a name that leads out of it")]
    Path,
    #[error("the bundle has no files in {root:?}")]
    Empty { root: String },
}

/// Packs one entry at a time, so that the caller can do something else in between.
pub(crate) struct Packer {
    zip: ZipArchive<Cursor<Bytes>>,
    next: usize,
    root: String,
    packed: usize,
    room: u64,
    most: u64,
    tar: Builder<Vec<u8>>,
}

/// Whether there is more to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl Packer {
    /// Packs the files below `root` of the bundle, at most `most` bytes of them, with this `Dockerfile`.
    pub(crate) fn new(
        bundle: Bytes,
        root: &str,
        dockerfile: &str,
        most: u64,
    ) -> Result<Self, Error> {
        let zip = ZipArchive::new(Cursor::new(bundle)).map_err(Error::Archive)?;
        if zip.len() > MOST_ENTRIES {
            return Err(Error::TooMany);
        }
        let mut tar = Builder::new(Vec::with_capacity(capacity(&zip, most)));
        let length = dockerfile.len() as u64;
        append(
            &mut tar,
            "Dockerfile",
            header(EntryType::Regular, 0o644, length),
            dockerfile.as_bytes(),
        )?;
        for folder in ["build-env/", "app/"] {
            append(&mut tar, folder, header(EntryType::Directory, 0o755, 0), io::empty())?;
        }
        let root = root.trim_matches('/').to_owned();
        Ok(Packer { zip, next: 0, root, packed: 0, room: most, most, tar })
    }

    pub(crate) fn pack_next(&mut self) -> Result<Progress, Error> {
        if self.next == self.zip.len() {
            return Ok(Progress::Done);
        }
        let mut entry = self.zip.by_index(self.next).map_err(Error::Archive)?;
        self.next += 1;
        let name = entry.enclosed_name().ok_or(Error::Path)?;
        let name = name.to_str().ok_or(Error::Path)?.to_owned();
        let Some(path) = below(&name, &self.root) else { return Ok(Progress::More) };
        if entry.is_dir() {
            return Ok(Progress::More);
        }
        if !entry.is_file() {
            return Err(Error::Path);
        }
        let path = format!("app/{path}");
        // What an entry says of its size is not believed: the bytes are counted as they come.
        let mut content = Vec::new();
        let read = (&mut entry).take(self.room + 1).read_to_end(&mut content);
        let length = read.map_err(Error::Content)? as u64;
        if length > self.room {
            return Err(Error::TooLarge { most: self.most });
        }
        self.room -= length;
        self.packed += 1;
        let program = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let mode = if program { 0o755 } else { 0o644 };
        append(&mut self.tar, &path, header(EntryType::Regular, mode, length), content.as_slice())?;
        Ok(Progress::More)
    }

    pub(crate) fn finish(self) -> Result<Bytes, Error> {
        if self.packed == 0 {
            return Err(Error::Empty { root: self.root });
        }
        self.tar.into_inner().map(Bytes::from).map_err(Error::Content)
    }
}

/// Room for the archive at once, as far as the bundle's word can be taken: growing would need twice as much.
fn capacity(zip: &ZipArchive<Cursor<Bytes>>, most: u64) -> usize {
    let claimed = zip.decompressed_size().and_then(|size| u64::try_from(size).ok());
    let content = usize::try_from(claimed.unwrap_or(most).min(most)).unwrap_or_default();
    content + (zip.len() + FEW_ENTRIES) * ENTRY_BYTES
}

/// The path of an entry relative to the app's folder; none if it is not in it.
fn below<'a>(name: &'a str, root: &str) -> Option<&'a str> {
    if root.is_empty() {
        return Some(name);
    }
    name.strip_prefix(root)?.strip_prefix('/')
}

fn header(kind: EntryType, mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_size(length);
    header
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    path: &str,
    mut header: Header,
    content: impl Read,
) -> Result<(), Error> {
    tar.append_data(&mut header, path, content).map_err(Error::Content)
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bytes {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in files {
            zip.start_file(*path, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        Bytes::from(zip.finish().unwrap().into_inner())
    }

    fn pack(bundle: Bytes, root: &str, most: u64) -> Result<Bytes, Error> {
        let mut packer = Packer::new(bundle, root, "FROM x\n", most)?;
        while packer.pack_next()? == Progress::More {}
        packer.finish()
    }

    fn listed(context: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(context);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let path = entry.path().unwrap().display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (path, content)
        });
        entries.collect()
    }

    fn entry(path: &str, content: &str) -> (String, String) {
        (path.to_owned(), content.to_owned())
    }

    #[test]
    fn the_files_of_the_apps_folder_are_packed_beside_the_dockerfile() {
        let bundle =
            bundle(&[("shop/main.py", "hi"), ("shop/a/b.txt", "b"), ("shopping.txt", "no")]);
        let context = pack(bundle, "shop", 1000).unwrap();
        let expected = [
            entry("Dockerfile", "FROM x\n"),
            entry("build-env/", ""),
            entry("app/", ""),
            entry("app/main.py", "hi"),
            entry("app/a/b.txt", "b"),
        ];
        assert_eq!(listed(&context), expected);
    }

    #[test]
    fn the_same_bundle_makes_the_same_context() {
        let long = "long/".repeat(30) + "name";
        let files = [("main.py", "hi"), (long.as_str(), "x")];
        assert_eq!(
            pack(bundle(&files), "", 1000).unwrap(),
            pack(bundle(&files), "", 1000).unwrap()
        );
    }

    #[test]
    fn a_bundle_has_bounds() {
        let files = bundle(&[("a", "12345"), ("b", "12345")]);
        assert!(pack(files.clone(), "", 10).is_ok());
        assert!(matches!(pack(files.clone(), "", 9), Err(Error::TooLarge { most: 9 })));
        assert!(matches!(pack(files, "other", 10), Err(Error::Empty { .. })));
    }

    #[test]
    fn what_leads_out_is_refused() {
        assert!(matches!(pack(bundle(&[("../x", "")]), "", 10), Err(Error::Path)));
        assert!(matches!(pack(Bytes::from_static(b"no zip"), "", 10), Err(Error::Archive(_))));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let link = Bytes::from(zip.finish().unwrap().into_inner());
        assert!(matches!(pack(link, "", 100), Err(Error::Path)));
    }
}
