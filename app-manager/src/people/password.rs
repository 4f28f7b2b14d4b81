//! Passwords: argon2id, with the parameters beside the hash. Blocking: half a hundred milliseconds and
//! 19 MiB each.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

/// In characters.
pub(crate) const SHORTEST: usize = 8;
/// In bytes.
pub(crate) const LONGEST: usize = 256;

/// A password could not be hashed: the machine has no memory left for it.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub(crate) struct Error(#[source] argon2::password_hash::Error);

/// Whether a password may be chosen.
pub(crate) fn is_acceptable(password: &str) -> bool {
    password.chars().count() >= SHORTEST && password.len() <= LONGEST
}

/// The text to be kept of a password.
pub(crate) fn hash(password: &str, salt: &[u8; 32]) -> Result<String, Error> {
    let salt = salt.get(..16).unwrap_or_default();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    Ok(hash.map_err(Error)?.to_string())
}

/// Whether the password is the one that `kept` was made of. Without `kept` there is no such account.
/// Whatever the answer is, one password was hashed for it: its time tells nothing.
pub(crate) fn verify(password: &str, kept: Option<&str>) -> bool {
    let possible = Some(password).filter(|password| password.len() <= LONGEST);
    match (possible, kept.and_then(|kept| PasswordHash::new(kept).ok())) {
        (Some(password), Some(kept)) => {
            Argon2::default().verify_password(password.as_bytes(), &kept).is_ok()
        }
        (Some(_) | None, _) => {
            drop(hash(possible.unwrap_or_default(), &[0; 32]));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_is_accepted() {
        let kept = hash("correct horse", &[7; 32]).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$"), "{kept}");
        assert!(!kept.contains("horse"));
        assert!(verify("correct horse", Some(&kept)));
        assert!(!verify("correct horse ", Some(&kept)));
        assert!(!verify("correct horse", None));
        assert!(!verify("correct horse", Some("not a hash")));
    }

    #[test]
    fn no_answer_comes_sooner_than_a_password_can_be_hashed() {
        let kept = hash("correct horse", &[7; 32]).unwrap();
        let long = "x".repeat(LONGEST + 1);
        // Processor time of this thread, in nanoseconds: whatever else the machine does takes none of it.
        let used = || -> u64 {
            let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            told.split_whitespace().next().unwrap().parse().unwrap()
        };
        let time = |password: &str, kept: Option<&str>| {
            let began = used();
            assert!(!verify(password, kept));
            used() - began
        };
        let ordinary = time("wrong horse", Some(&kept));
        for (password, kept) in [
            (long.as_str(), Some(kept.as_str())),
            (long.as_str(), None),
            ("wrong horse", None),
            ("wrong horse", Some("not a hash")),
        ] {
            assert!(time(password, kept) > ordinary / 4, "{} bytes, {kept:?}", password.len());
        }
    }

    #[test]
    fn the_same_password_is_kept_differently_by_its_salt() {
        assert_ne!(
            hash("correct horse", &[1; 32]).unwrap(),
            hash("correct horse", &[2; 32]).unwrap()
        );
    }

    #[test]
    fn passwords_have_a_length() {
        assert!(is_acceptable("eight888"));
        assert!(!is_acceptable("seven77"));
        assert!(!is_acceptable(&"x".repeat(257)));
    }
}
