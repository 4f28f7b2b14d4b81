//! The rules of the repository, and of the contract suites themselves, as tests.
#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test, as it should")]

mod broken;
mod tidy;
