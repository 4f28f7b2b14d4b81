//! A log file that is moved aside when it is full, so that logs never fill a disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

const FULL: u64 = 10 * 1024 * 1024;
/// Besides the current file: `<name>.1` is the newest.
const KEPT: u32 = 2;

/// Writes lines to a file of at most 10 MiB and keeps the two before it.
#[derive(Debug, Clone)]
pub(super) struct RotatingFile {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    path: PathBuf,
    file: File,
    length: u64,
    full: u64,
}

impl RotatingFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        RotatingFile::with_limit(path, FULL)
    }

    fn with_limit(path: PathBuf, full: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (file, length) = append(&path)?;
        Ok(RotatingFile { inner: Arc::new(Mutex::new(Inner { path, file, length, full })) })
    }
}

fn append(path: &PathBuf) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

impl Inner {
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..KEPT).rev() {
            if numbered(number).exists() {
                fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, numbered(1))?;
        (self.file, self.length) = append(&self.path)?;
        Ok(())
    }
}

/// One line at a time has the file.
pub(super) struct Writing<'a>(MutexGuard<'a, Inner>);

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.length >= self.0.full {
            self.0.rotate()?;
        }
        let written = self.0.file.write(bytes)?;
        self.0.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.file.flush()
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = Writing<'a>;

    fn make_writer(&'a self) -> Writing<'a> {
        Writing(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_moved_aside_and_the_oldest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let file = RotatingFile::with_limit(path.clone(), 4).unwrap();
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"] {
            file.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("x.log"), "dddd\n");
        assert_eq!(read("x.log.1"), "cccc\n");
        assert_eq!(read("x.log.2"), "bbbb\n");
        assert!(!folder.path().join("x.log.3").exists());
    }
}
