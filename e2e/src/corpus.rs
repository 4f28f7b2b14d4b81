//! Bad input as `reliability.md` 3 lists it: each form, and the code that it must get.
//!
//! Owns what is sent, never how it is sent nor what is looked at afterwards.

pub mod archives;
pub mod bombs;
pub mod bundles;
pub mod messages;
pub mod names;

/// One bad zip.
#[derive(Debug, Clone)]
pub struct BadZip {
    /// The row of the catalogue, `B-U1`, and the form in it.
    pub what: String,
    pub bytes: Vec<u8>,
    pub code: &'static str,
}

impl BadZip {
    fn new(row: &str, form: &str, bytes: Vec<u8>, code: &'static str) -> Self {
        BadZip { what: format!("{row} {form:.60}"), bytes, code }
    }
}
