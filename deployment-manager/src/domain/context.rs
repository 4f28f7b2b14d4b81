//! The build context: a tar archive made from a stored zip, entry by entry, within bounds. Of neither
//! of them more than a piece is in memory. Times, owners and modes are the same for everybody, so that
//! layers are found again.

use std::io::{self, Read, Seek, Write};

use tar::{Builder, EntryType, Header};
use zip::ZipArchive;
use zip::read::ZipFile;

/// More entries than this no bundle has: it was checked when it was uploaded.
const MOST_ENTRIES: usize = 10_000;

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
    #[error("nobody waits for the bundle any more")]
    Cancelled,
}

/// What is packed.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The folder of the bundle whose files are packed; empty for the top.
    pub(crate) root: String,
    pub(crate) dockerfile: String,
    /// How many bytes the files may have together.
    pub(crate) most: u64,
}

/// Packs a bundle; between its files it looks whether somebody still waits.
pub(crate) fn pack<W: Write>(
    bundle: impl Read + Seek,
    wanted: &Wanted,
    into: W,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<W, Error> {
    let mut zip = ZipArchive::new(bundle).map_err(Error::Archive)?;
    if zip.len() > MOST_ENTRIES {
        return Err(Error::TooMany);
    }
    let mut tar = Builder::new(into);
    let dockerfile = wanted.dockerfile.as_bytes();
    let length = dockerfile.len() as u64;
    append(&mut tar, "Dockerfile", header(EntryType::Regular, 0o644, length), dockerfile)?;
    for folder in ["build-env/", "app/"] {
        append(&mut tar, folder, header(EntryType::Directory, 0o755, 0), io::empty())?;
    }
    let mut room = wanted.most;
    let mut is_empty = true;
    for index in 0..zip.len() {
        if is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut entry = zip.by_index(index).map_err(Error::Archive)?;
        let Some(path) = path_of(&entry, wanted.root.trim_matches('/'))? else { continue };
        let too_large = Error::TooLarge { most: wanted.most };
        room = room.checked_sub(entry.size()).ok_or(too_large)?;
        append_entry(&mut tar, &path, &mut entry)?;
        is_empty = false;
    }
    if is_empty {
        return Err(Error::Empty { root: wanted.root.clone() });
    }
    tar.into_inner().map_err(Error::Content)
}

/// Where a file of the app goes; none for what is no file, or none of the app's.
fn path_of(entry: &ZipFile<'_, impl Read>, root: &str) -> Result<Option<String>, Error> {
    let name = entry.enclosed_name().ok_or(Error::Path)?;
    let name = name.to_str().ok_or(Error::Path)?;
    let Some(path) = below(name, root).filter(|_| !entry.is_dir()) else { return Ok(None) };
    if entry.is_file() { Ok(Some(format!("app/{path}"))) } else { Err(Error::Path) }
}

/// What an entry says of its size is not believed: the bytes are counted as they come.
fn append_entry(
    tar: &mut Builder<impl Write>,
    path: &str,
    entry: &mut ZipFile<'_, impl Read>,
) -> Result<(), Error> {
    let length = entry.size();
    let program = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
    let mode = if program { 0o755 } else { 0o644 };
    let mut content = entry.take(length.saturating_add(1));
    append(tar, path, header(EntryType::Regular, mode, length), &mut content)?;
    if content.limit() == 1 {
        Ok(())
    } else {
        let lied = io::Error::new(io::ErrorKind::InvalidData, "an entry has not the size it says");
        Err(Error::Content(lied))
    }
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in files {
            zip.start_file(*path, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn pack(bundle: &[u8], root: &str, most: u64) -> Result<Vec<u8>, Error> {
        let wanted = Wanted { root: root.to_owned(), dockerfile: "FROM x\n".to_owned(), most };
        super::pack(Cursor::new(bundle), &wanted, Vec::new(), &|| false)
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
        let context = pack(&bundle, "shop", 1000).unwrap();
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
            pack(&bundle(&files), "", 1000).unwrap(),
            pack(&bundle(&files), "", 1000).unwrap()
        );
    }

    #[test]
    fn a_bundle_has_bounds() {
        let files = bundle(&[("a", "12345"), ("b", "12345")]);
        assert!(pack(&files, "", 10).is_ok());
        assert!(matches!(pack(&files, "", 9), Err(Error::TooLarge { most: 9 })));
        assert!(matches!(pack(&files, "other", 10), Err(Error::Empty { .. })));
    }

    #[test]
    fn what_leads_out_is_refused() {
        assert!(matches!(pack(&bundle(&[("../x", "")]), "", 10), Err(Error::Path)));
        assert!(matches!(pack(b"no zip", "", 10), Err(Error::Archive(_))));
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let link = zip.finish().unwrap().into_inner();
        assert!(matches!(pack(&link, "", 100), Err(Error::Path)));
    }

    #[test]
    fn a_size_that_is_not_so_is_noticed() {
        let mut zip = bundle(&[("main.py", "a text")]);
        // The size unpacked, in the directory at the end: 24 bytes behind its signature.
        let entry = zip.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        for said in [5, 7] {
            zip[entry + 24] = said;
            let packed = pack(&zip, "", 100);
            assert!(matches!(packed, Err(Error::Content(_))), "{said}: {packed:?}");
        }
    }

    #[test]
    fn who_is_no_longer_waited_for_stops() {
        let zip = bundle(&[("main.py", "hi")]);
        let wanted = Wanted { root: String::new(), dockerfile: String::new(), most: 10 };
        let packed = super::pack(Cursor::new(zip), &wanted, Vec::new(), &|| true);
        assert!(matches!(packed, Err(Error::Cancelled)));
    }
}
