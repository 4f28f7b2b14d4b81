//! Where the unit's file stands.

use std::env::home_dir;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chassis::config;
use rustix::process::geteuid;

pub(super) const NAME: &str = "avishkar.service";
const SYSTEM: &str = "/etc/systemd/system";

/// Whose unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The machine's: it runs as root.
    System,
    /// One user's: it runs as that user.
    User,
}

impl Scope {
    pub(super) fn logs(self) -> &'static str {
        match self {
            Scope::System => "journalctl -u avishkar -f",
            Scope::User => "journalctl --user -u avishkar -f",
        }
    }
}

/// The unit's file.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) scope: Scope,
    pub(super) file: PathBuf,
}

impl Place {
    pub(super) fn of_process() -> anyhow::Result<Self> {
        if geteuid().is_root() {
            return Ok(Place { scope: Scope::System, file: Path::new(SYSTEM).join(NAME) });
        }
        let settings = match config::xdg_folder("XDG_CONFIG_HOME") {
            Some(folder) => folder,
            None => home_dir().context("there is no home folder")?.join(".config"),
        };
        Ok(Place { scope: Scope::User, file: settings.join("systemd/user").join(NAME) })
    }

    /// Writes the file to a name beside it, then by rename. Returns whether it changed.
    pub(super) fn write(&self, text: &str) -> anyhow::Result<Changed> {
        if fs::read(&self.file).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(Changed::No);
        }
        let cannot = || format!("{} cannot be written", self.file.display());
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        let part = self.file.with_extension("part");
        let mut file = File::create(&part).with_context(cannot)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(cannot)?;
        fs::rename(&part, &self.file).with_context(cannot)?;
        Ok(Changed::Yes)
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        let removed = fs::remove_file(&self.file);
        removed.with_context(|| format!("{} cannot be removed", self.file.display()))
    }
}

/// Whether what runs is older than what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("systemd/user").join(NAME);
        let place = Place { scope: Scope::User, file };
        assert_eq!(place.write("one").unwrap(), Changed::Yes);
        assert_eq!(place.write("one").unwrap(), Changed::No);
        assert_eq!(place.write("two").unwrap(), Changed::Yes);
        assert_eq!(fs::read_to_string(&place.file).unwrap(), "two");
        assert_eq!(fs::read_dir(place.file.parent().unwrap()).unwrap().count(), 1);
        place.remove().unwrap();
        assert!(!place.file.exists());
    }
}
