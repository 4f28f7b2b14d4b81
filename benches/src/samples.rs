//! Folders of sample apps that may be written in.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use e2e::platform::sample;
use tempfile::TempDir;

/// The files of a sample app, in a folder of their own.
pub(crate) fn copy_of(name: &str) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for file in fs::read_dir(sample(name))? {
        let file = file?;
        fs::copy(file.path(), folder.path().join(file.file_name()))?;
    }
    Ok(folder)
}

/// Adds a comment, so that the file is another one.
pub(crate) fn note(file: &Path, words: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(file)?;
    Ok(writeln!(file, "\n# {words}")?)
}

/// As an argument of a command.
pub(crate) fn argument(folder: &Path) -> anyhow::Result<&str> {
    folder.to_str().context("a folder's path is UTF-8")
}
