//! The first admin's one-time token: a file that only the operator of the machine can read. There is
//! no default password anywhere.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use common::digest::hex;
use sha2::{Digest as _, Sha256};

const NAME: &str = "one-time-token";

/// The file with the token.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        TokenFile { path: folder.join(NAME) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the token, unless one stands there already: it stays the same over restarts.
    pub(crate) fn offer(&self, secret: &[u8; 32]) -> io::Result<()> {
        if fs::read(&self.path).is_ok_and(|token| token.trim_ascii().len() == 64) {
            return Ok(());
        }
        let part = self.path.with_extension("part");
        remove(&part)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(hex(secret).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&part, &self.path)
    }

    /// Whether this is the token of the file. Without a file nothing is.
    pub(crate) fn matches(&self, token: &str) -> bool {
        let Ok(kept) = fs::read(&self.path) else { return false };
        // Hashes are compared, so that the time it takes tells nothing about the token.
        let kept = kept.trim_ascii();
        kept.len() == 64 && Sha256::digest(kept) == Sha256::digest(token.trim().as_bytes())
    }

    /// The token is used up.
    pub(crate) fn withdraw(&self) -> io::Result<()> {
        remove(&self.path)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_private_stays_the_same_and_works_until_it_is_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_folder(folder.path());
        assert!(!file.matches(""));
        file.offer(&[7; 32]).unwrap();
        file.offer(&[8; 32]).unwrap();
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = fs::read_to_string(file.path()).unwrap();
        assert_eq!(token.trim(), hex(&[7; 32]));
        assert!(file.matches(&token));
        assert!(!file.matches(&hex(&[8; 32])) && !file.matches(""));
        file.withdraw().unwrap();
        file.withdraw().unwrap();
        assert!(!file.matches(&token));
    }

    #[test]
    fn a_torn_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_folder(folder.path());
        fs::write(file.path(), "half a tok").unwrap();
        assert!(!file.matches("half a tok"));
        file.offer(&[7; 32]).unwrap();
        assert!(file.matches(&hex(&[7; 32])));
    }
}
