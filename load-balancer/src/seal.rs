//! Secrets at rest, which are keys of certificates and the account at the public authority: sealed with a secret that only
//! the platform's load balancers have, so that the store, its copies and who reads them have none. Sealed for one purpose,
//! such as one host name: moved to another, it does not open.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const SHORTEST: usize = 32;
const LARGEST_FILE: u64 = 4096;
/// What the secret is used for: the same secret for something else gives another key.
const PURPOSE: &[u8] = b"avishkar: keys of certificates, 1\n";

/// Why keys can be neither sealed nor opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the load balancer's secret for keys cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the load balancer's secret for keys can be read by others; make its mode 0600")]
    Open,
    #[error("the load balancer's secret for keys has fewer than {SHORTEST} bytes")]
    Short,
    #[error("the key was sealed with another secret, or for another host name")]
    Foreign,
}

/// Seals and opens.
pub(crate) struct Seal(RandomizedNonceKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

impl Seal {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < SHORTEST {
            return Err(Error::Short);
        }
        let key = Sha256::new().chain_update(PURPOSE).chain_update(secret).finalize();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has its length");
        Ok(Seal(key))
    }

    /// By a file that only its owner can read; white space around the secret is not part of it.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::Unreadable)?;
        let mode = file.metadata().map_err(Error::Unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Open);
        }
        let mut secret = Vec::new();
        file.take(LARGEST_FILE).read_to_end(&mut secret).map_err(Error::Unreadable)?;
        Seal::new(secret.trim_ascii())
    }

    /// `purpose`: what it is sealed for, and opens for alone; the host name for a certificate's key.
    pub(crate) fn seal(&self, purpose: &str, secret: &str) -> String {
        let mut sealed = secret.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose), &mut sealed);
        let nonce = nonce.expect("a secret is short enough to be sealed");
        STANDARD.encode([nonce.as_ref().as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Result<String, Error> {
        let bytes = STANDARD.decode(sealed).map_err(|_| Error::Foreign)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(Error::Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Foreign)?;
        let mut secret = sealed.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(purpose), &mut secret);
        let opened = opened.map_err(|_| Error::Foreign)?.to_vec();
        String::from_utf8(opened).map_err(|_| Error::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_sealed_key_opens_for_its_host_and_secret_alone() {
        let seal = Seal::new(SECRET).unwrap();
        let shop = "shop.example.org";
        let sealed = seal.seal(shop, "the key");
        assert!(!sealed.contains("key"));
        assert_eq!(seal.open(shop, &sealed).unwrap(), "the key");
        // Never the same twice: nobody sees that a key came back.
        assert_ne!(seal.seal(shop, "the key"), sealed);
        let foreign = |opened: Result<String, Error>| matches!(opened, Err(Error::Foreign));
        assert!(foreign(seal.open("other.example.org", &sealed)));
        let other = Seal::new(b"another secret of thirty-two bytes").unwrap();
        assert!(foreign(other.open(shop, &sealed)));
        for damaged in ["", "AAAA", "%", &sealed.replace(&sealed[20..24], "AAAA")] {
            assert!(foreign(seal.open(shop, damaged)), "{damaged}");
        }
    }

    #[test]
    fn a_secret_is_long_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal");
        assert!(matches!(Seal::load(&path), Err(Error::Unreadable(_))));
        fs::write(&path, SECRET).unwrap();
        let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(matches!(Seal::load(&path), Err(Error::Open)));
        mode(0o600);
        assert!(Seal::load(&path).is_ok());
        fs::write(&path, &SECRET[1..]).unwrap();
        assert!(matches!(Seal::load(&path), Err(Error::Short)));
    }
}
