//! Keys: a new ed25519 key in OpenSSH's own form, and the fingerprint of a host key.
//!
//! The form is written here: it is forty lines, and a crate that does it brings a second implementation of the
//! curve along. The curve is the one of TLS.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use common::port::Cause;
use common::port::host::{Error, HostKey, KeyAlgorithm, PublicKey};
use sha2::{Digest as _, Sha256};

use super::secret_file;

const MAGIC: &[u8] = b"openssh-key-v1\0";
const ALGORITHM: &str = "ssh-ed25519";
const BLOCK: usize = 8;
const LINE: usize = 70;

/// A key pair: the private half as a file holds it.
pub(super) struct NewKey {
    pub(super) private: String,
    pub(super) public: PublicKey,
}

/// The key that follows from 32 secret bytes.
pub(super) fn from_seed(seed: &[u8; 32], comment: &str) -> Result<NewKey, Cause> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)?;
    let point = pair.public_key().as_ref();
    let blob = strings(&[ALGORITHM.as_bytes(), point]);
    let public = format!("{ALGORITHM} {} {comment}", STANDARD.encode(&blob)).parse()?;
    let secret = [seed.as_slice(), point].concat();
    let private = armoured(&private_form(&blob, point, &secret, comment));
    Ok(NewKey { private, public })
}

/// The public half of the key in a file, which is made first where there is none.
pub(super) fn ensure(file: &Path, comment: &str, seed: &[u8; 32]) -> Result<PublicKey, Error> {
    let unusable = |why: String| Error::CredentialUnusable { path: file.to_owned(), why };
    if secret_file::find(file)?.is_none() {
        let key = from_seed(seed, comment).map_err(|err| unusable(err.to_string()))?;
        if secret_file::make(file, &key.private)? {
            return Ok(key.public);
        }
    }
    let text = secret_file::read(file)?;
    public_half(&text)
        .ok_or_else(|| unusable("it is no ed25519 key without a passphrase".to_owned()))
}

/// The public half in a file that [`from_seed`] could have made.
fn public_half(armoured: &str) -> Option<PublicKey> {
    let text: String = armoured.lines().filter(|line| !line.starts_with('-')).collect();
    let form = STANDARD.decode(text).ok()?;
    let mut rest = form.strip_prefix(MAGIC)?;
    let mut next = || next_part(&mut rest);
    let is_open = next()? == b"none" && next()? == b"none" && next()?.is_empty();
    // How many keys there are.
    rest.split_off(..4)?;
    let blob = next_part(&mut rest)?;
    let mut section = next_part(&mut rest)?;
    section.split_off(..8)?;
    let (algorithm, _point, _secret) =
        (next_part(&mut section)?, next_part(&mut section)?, next_part(&mut section)?);
    let comment = std::str::from_utf8(next_part(&mut section)?).ok()?;
    let line = format!("{ALGORITHM} {} {comment}", STANDARD.encode(blob));
    (is_open && algorithm == ALGORITHM.as_bytes()).then(|| line.parse().ok())?
}

/// `PROTOCOL.key` of OpenSSH, without a passphrase.
fn private_form(blob: &[u8], point: &[u8], secret: &[u8], comment: &str) -> Vec<u8> {
    // Two equal numbers tell whoever decrypts that the passphrase was right; here there is none.
    let check = [0; 8];
    let mut section = check.to_vec();
    section.extend(strings(&[ALGORITHM.as_bytes(), point, secret, comment.as_bytes()]));
    section.extend((1..=u8::MAX).take((BLOCK - section.len() % BLOCK) % BLOCK));
    let mut form = MAGIC.to_vec();
    form.extend(strings(&[b"none", b"none", b""]));
    form.extend(1_u32.to_be_bytes());
    form.extend(strings(&[blob, &section]));
    form
}

fn armoured(form: &[u8]) -> String {
    let text = STANDARD.encode(form);
    let mut file = "-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(LINE) {
        file.push_str(&String::from_utf8_lossy(line));
        file.push('\n');
    }
    file.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    file
}

/// Takes the next of the [`strings`].
fn next_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

/// Each with its length before it.
fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

/// A host key as the protocol carries it; none if it is of no kind that is used here.
pub(crate) fn host_key(blob: &[u8]) -> Option<HostKey> {
    let length = u32::from_be_bytes(blob.first_chunk().copied()?);
    let name = blob.get(4..4 + usize::try_from(length).ok()?)?;
    let algorithm: KeyAlgorithm = std::str::from_utf8(name).ok()?.parse().ok()?;
    let hash = STANDARD_NO_PAD.encode(Sha256::digest(blob));
    let fingerprint = format!("SHA256:{hash}").parse().ok()?;
    Some(HostKey { algorithm, fingerprint })
}

/// The host key in a line of a `.pub` file.
pub(crate) fn host_key_of_line(line: &str) -> Option<HostKey> {
    let key: PublicKey = line.parse().ok()?;
    host_key(&STANDARD.decode(key.base64()).ok()?)
}

/// The names under which a key of this kind is asked for. SHA-1 is none of them.
pub(super) fn signatures(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::Ed25519 => "ssh-ed25519",
        KeyAlgorithm::Ecdsa256 => "ecdsa-sha2-nistp256",
        KeyAlgorithm::Ecdsa384 => "ecdsa-sha2-nistp384",
        KeyAlgorithm::Ecdsa521 => "ecdsa-sha2-nistp521",
        KeyAlgorithm::Rsa => "rsa-sha2-512,rsa-sha2-256",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "OpenSSH itself is the judge")]
    fn openssh_reads_a_new_key_and_agrees_about_its_public_half_and_its_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        for comment in ["avishkar", "a", "a comment of several words"] {
            let key = from_seed(&[7; 32], comment).unwrap();
            let file = folder.path().join("key");
            std::fs::write(&file, &key.private).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            let says = |option: &str| {
                let ran = Command::new("ssh-keygen").arg(option).arg("-f").arg(&file).output();
                let ran = ran.expect("openssh-client is installed");
                assert!(ran.status.success(), "{ran:?}");
                String::from_utf8(ran.stdout).unwrap()
            };
            assert_eq!(says("-y").trim_end(), key.public.as_line());
            let fingerprint = host_key_of_line(key.public.as_line()).unwrap().fingerprint;
            assert!(says("-l").contains(&format!("256 {fingerprint} {comment}")));
        }
    }

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let made = ensure(&file, "ops", &[1; 32]).unwrap();
        assert_eq!(ensure(&file, "others", &[2; 32]).unwrap(), made);
        assert_eq!(from_seed(&[1; 32], "ops").unwrap().public, made);
        std::fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n").unwrap();
        assert!(matches!(ensure(&file, "ops", &[1; 32]), Err(Error::CredentialUnusable { .. })));
    }

    #[test]
    fn what_is_no_host_key_is_none() {
        for blob in
            [&b""[..], b"\0\0\0\x0bssh-ed2551", b"\0\0\0\x07ssh-dss1234", b"\xff\xff\xff\xff"]
        {
            assert_eq!(host_key(blob), None, "{blob:?}");
        }
    }
}
