//! What the library's codes mean. The library names them in C only.

use ssh2::{Error as Refusal, ErrorCode};

/// As the library says "not yet".
pub(super) fn is_not_yet(err: &Refusal) -> bool {
    code(err) == Some(-37)
}

/// Who signs in was refused, rather than not heard.
pub(super) fn is_refused(err: &Refusal) -> bool {
    matches!(code(err), Some(-18 | -19))
}

/// The machine opens no further channel.
pub(super) fn is_exhausted(err: &Refusal) -> bool {
    matches!(code(err), Some(-21 | -22))
}

/// A file with a key is not one, or has a passphrase.
pub(super) fn is_about_the_file(err: &Refusal) -> bool {
    matches!(code(err), Some(-16 | -33 | -34 | -48))
}

fn code(err: &Refusal) -> Option<i32> {
    match err.code() {
        ErrorCode::Session(code) => Some(code),
        ErrorCode::SFTP(_) => None,
    }
}
