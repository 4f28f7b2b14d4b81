//! [`Context`]: files as a build context, a tar archive that is the same wherever and whenever it is made.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::FileName;
use crate::digest::Digest;

const BLOCK: usize = 512;
/// The field of the name in a header; what does not fit goes before it, in a record of its own.
const SHORT_NAME: usize = 100;
/// All files alike, for shares keep no modes: a script that the build runs must be a program.
const MODE: u32 = 0o755;

/// A build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// A tar archive with the files at its beginning.
    pub archive: Bytes,
    /// Of the archive: the same for the same names and contents, from whatever share and at whatever time.
    pub digest: Digest,
}

impl Context {
    /// Packs files in the order of their names, each folder before what is in it; of nobody, made at the beginning of
    /// time.
    pub fn of(files: &BTreeMap<FileName, Bytes>) -> Self {
        let room: usize = files.values().map(|content| content.len() + 2 * BLOCK).sum();
        let mut archive = Vec::with_capacity(room + 4 * BLOCK);
        let mut folders = BTreeSet::new();
        for (name, content) in files {
            for folder in name.folders().filter(|folder| folders.insert(*folder)) {
                append(&mut archive, &format!("{folder}/"), Kind::Folder, &[]);
            }
            append(&mut archive, name.as_str(), Kind::File, content);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        let digest = Digest::of(&archive);
        Context { archive: archive.into(), digest }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    /// The name of the next entry, as POSIX.1-2001 writes it.
    Name,
}

impl Kind {
    fn letter(self) -> u8 {
        match self {
            Kind::File => b'0',
            Kind::Folder => b'5',
            Kind::Name => b'x',
        }
    }
}

fn append(archive: &mut Vec<u8>, name: &str, kind: Kind, content: &[u8]) {
    let is_plain = name.len() <= SHORT_NAME && name.is_ascii();
    if !is_plain {
        append_entry(archive, b"name", Kind::Name, record("path", name).as_bytes());
    }
    let short: Vec<u8> =
        name.bytes().map(|byte| if byte.is_ascii() { byte } else { b'_' }).collect();
    let end = short.len().min(SHORT_NAME);
    append_entry(archive, short.get(..end).unwrap_or_default(), kind, content);
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn append_entry(archive: &mut Vec<u8>, name: &[u8], kind: Kind, content: &[u8]) {
    let start = archive.len();
    let mut field = |bytes: &[u8], width: usize| {
        archive.extend_from_slice(bytes);
        archive.resize(archive.len() + width.saturating_sub(bytes.len()), 0);
    };
    field(name, SHORT_NAME);
    field(format!("{MODE:07o}").as_bytes(), 8);
    field(b"0000000", 8);
    field(b"0000000", 8);
    field(format!("{:011o}", content.len()).as_bytes(), 12);
    field(b"00000000000", 12);
    // The sum is made as if its own field were blank.
    field(b"        ", 8);
    field(&[kind.letter()], 1);
    field(b"", 100);
    field(b"ustar\x0000", 8);
    field(b"", 64);
    field(b"0000000", 8);
    field(b"0000000", 8);
    field(b"", 167);
    let header = archive.get(start..).unwrap_or_default();
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    if let Some(place) = archive.get_mut(start + 148..start + 156) {
        place.copy_from_slice(sum.as_bytes());
    }
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<FileName, Bytes> {
        let file = |(name, content): &(&str, &str)| {
            (name.parse().unwrap(), Bytes::copy_from_slice(content.as_bytes()))
        };
        files.iter().map(file).collect()
    }

    #[test]
    fn the_same_files_are_the_same_context() {
        let context =
            Context::of(&files(&[("Dockerfile", "FROM scratch\n"), ("app/main.py", "x")]));
        let other = Context::of(&files(&[("app/main.py", "x"), ("Dockerfile", "FROM scratch\n")]));
        assert_eq!(context, other);
        // Two headers and blocks of files, the header of a folder, and the end.
        assert_eq!(context.archive.len(), BLOCK * (2 + 2 + 1 + 2));
        assert_eq!(context.digest, Digest::of(&context.archive));
    }

    #[test]
    fn any_other_content_or_name_is_another_context() {
        let first = Context::of(&files(&[("a", "x"), ("b", "")]));
        for other in [[("a", "y"), ("b", "")], [("a", ""), ("b", "x")], [("a", "x"), ("c", "")]] {
            assert_ne!(Context::of(&files(&other)).digest, first.digest);
        }
    }

    #[test]
    fn the_digest_of_a_context_never_changes() {
        // Made with: tar --format=ustar -b1 --mtime=@0 --mode=755 --owner=0 --group=0 --numeric-owner, of the same names in this order.
        let context =
            Context::of(&files(&[("Dockerfile", "FROM scratch\n"), ("app/main.py", "print(1)\n")]));
        assert_eq!(
            context.digest.as_str(),
            "sha256:81e689df49d6482a3bf9242802b9eaf7ac7664abaca7dda7fcee6efc7969f430"
        );
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [1, 80, 88, 89, 90, 91, 92, 980, 988, 989, 990, 1000] {
            let record = record("path", &"x".repeat(length));
            assert!(record.starts_with(&format!("{} ", record.len())), "{length}");
        }
    }
}
