//! What the file refers to on this computer: keys, passwords, sockets, images.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use common::service::ServiceName;

use super::section::Entry;

const OF_OTHERS: u32 = 0o077;
/// What becomes a part of the description is no bundle.
const LARGEST_TEXT: u64 = 64 << 10;

/// This computer, as far as a description of a platform refers to it.
pub trait Here {
    /// What `~` stands for.
    fn home(&self) -> Option<PathBuf>;

    /// What is there.
    fn look(&self, path: &Path) -> Seen;

    /// What a file says.
    fn text(&self, path: &Path) -> io::Result<String>;

    /// What a service itself finds wrong with settings of its own file, by `section.key`; of a file the path. Told are the
    /// key, or what it begins with, and a clause.
    fn refuses(
        &self,
        service: ServiceName,
        settings: &BTreeMap<String, String>,
    ) -> Vec<(String, String)>;
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    /// With its permissions.
    File {
        mode: u32,
    },
    Socket,
    Folder,
    /// A device, or what nobody may look at: a clause that says which.
    Other(String),
}

/// What a service finds wrong with settings, as [`Here::refuses`].
pub type Refuses = fn(ServiceName, &BTreeMap<String, String>) -> Vec<(String, String)>;

/// The computer that this process runs on, and what services say there of settings.
#[derive(Debug, Clone, Copy)]
pub struct ThisComputer(pub Refuses);

impl Here for ThisComputer {
    fn home(&self) -> Option<PathBuf> {
        chassis::config::xdg_folder("HOME")
    }

    fn look(&self, path: &Path) -> Seen {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(err) if err.kind() == ErrorKind::NotFound => return Seen::Nothing,
            Err(err) => return Seen::Other(err.to_string()),
        };
        let kind = found.file_type();
        if kind.is_file() {
            Seen::File { mode: found.permissions().mode() & 0o7777 }
        } else if kind.is_socket() {
            Seen::Socket
        } else if kind.is_dir() {
            Seen::Folder
        } else {
            Seen::Other("it is neither a file nor a socket".to_owned())
        }
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(path)?.take(LARGEST_TEXT + 1).read_to_string(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|length| length <= LARGEST_TEXT) {
            Ok(text)
        } else {
            Err(io::Error::other(format!("it is larger than {LARGEST_TEXT} bytes")))
        }
    }

    fn refuses(
        &self,
        service: ServiceName,
        settings: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        (self.0)(service, settings)
    }
}

/// Where paths begin, and what is there.
#[derive(Clone, Copy)]
pub(super) struct Paths<'a> {
    /// The folder of the file that is read.
    pub(super) folder: &'a Path,
    pub(super) here: &'a dyn Here,
}

impl Paths<'_> {
    /// The path that is meant: `~/` is the home folder, and what is not absolute begins at the file's folder.
    pub(super) fn meant(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        let text = entry.text()?;
        let Some(rest) = text.strip_prefix("~/") else { return Some(self.folder.join(text)) };
        match self.here.home() {
            Some(home) => Some(home.join(rest)),
            None => entry.wrong("nobody knows where ~ is", "write the whole path"),
        }
    }

    /// A file that nobody but its owner may read or change.
    pub(super) fn secret(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        let path = self.meant(entry)?;
        let seen = self.here.look(&path);
        let Seen::File { mode } = seen else { return absent(entry, &path, &seen, "a file") };
        if mode & OF_OTHERS == 0 {
            return Some(path);
        }
        let shown = path.display();
        entry.wrong(
            format!("others may read or change {shown}: its mode is {mode:04o}"),
            format!("chmod 600 {shown}"),
        )
    }

    pub(super) fn file(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        let path = self.meant(entry)?;
        let seen = self.here.look(&path);
        let Seen::File { .. } = seen else { return absent(entry, &path, &seen, "a file") };
        Some(path)
    }

    /// What a file says that is no secret.
    pub(super) fn text(&self, entry: &Entry<'_>) -> Option<String> {
        let path = self.file(entry)?;
        match self.here.text(&path) {
            Ok(text) => Some(text),
            Err(err) => {
                let message = format!("{} cannot be read: {err}", path.display());
                entry.wrong(message, "give a file of text that you may read")
            }
        }
    }

    pub(super) fn socket(&self, entry: &Entry<'_>) -> Option<PathBuf> {
        let path = self.meant(entry)?;
        let seen = self.here.look(&path);
        let Seen::Socket = seen else { return absent(entry, &path, &seen, "a socket") };
        Some(path)
    }
}

fn absent<T>(entry: &Entry<'_>, path: &Path, seen: &Seen, wanted: &str) -> Option<T> {
    let shown = path.display();
    let message = match seen {
        Seen::Nothing => format!("there is no {shown}"),
        Seen::File { .. } => format!("{shown} is a file"),
        Seen::Socket => format!("{shown} is a socket"),
        Seen::Folder => format!("{shown} is a folder"),
        Seen::Other(why) => format!("{shown} cannot be used: {why}"),
    };
    entry.wrong(message, format!("give the path of {wanted} on this computer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_a_path_is_seen() {
        let here = ThisComputer(|_, _| Vec::new());
        let folder = std::env::temp_dir();
        assert_eq!(here.look(&folder), Seen::Folder);
        assert_eq!(here.look(&folder.join("surely-not-there")), Seen::Nothing);
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(here.look(&own), Seen::File { .. }));
        assert!(matches!(here.look(Path::new("/dev/null")), Seen::Other(_)));
        assert!(here.text(&own).unwrap().contains("[package]"));
        assert!(here.text(&folder).is_err());
        assert!(here.text(Path::new("/dev/zero")).is_err(), "it never ends");
    }
}
