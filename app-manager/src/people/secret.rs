//! The secret that signs tokens: from the environment, or from a file that only its owner can read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SHORTEST: usize = 32;
const LARGEST_FILE: u64 = 4096;

/// At least 32 bytes nobody else knows. It is never shown.
#[derive(Clone)]
pub(crate) struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why there is no secret; without one the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the secret that signs tokens has fewer than {SHORTEST} bytes")]
    Short,
    #[error("{path} can be read by others; make its mode 0600")]
    Open { path: PathBuf },
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Secret {
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.len() < SHORTEST { Err(Error::Short) } else { Ok(Secret(bytes)) }
    }

    /// Reads a file; white space around the secret is not part of it.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Open { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        Secret::new(bytes.trim_ascii().to_vec())
    }

    /// The bytes themselves: for the one place that signs with them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_private_file_is_read_without_the_white_space_around() {
        for mode in [0o600, 0o400] {
            let (_folder, path) = file(&format!("{GOOD}\n"), mode);
            assert_eq!(Secret::load(&path).unwrap().expose(), GOOD.as_bytes());
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let (_folder, path) = file(GOOD, mode);
            assert!(matches!(Secret::load(&path), Err(Error::Open { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_short_or_missing_secret_is_refused() {
        let (folder, path) = file(&GOOD[1..], 0o600);
        assert!(matches!(Secret::load(&path), Err(Error::Short)));
        let missing = folder.path().join("missing");
        assert!(matches!(Secret::load(&missing), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn it_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new(GOOD.into()).unwrap()), "***");
    }
}
