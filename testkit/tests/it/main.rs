//! The rules of the repository, as tests.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test, as it should")]

mod tidy;
