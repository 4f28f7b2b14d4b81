//! What `up` was given besides its folder, and kept in it: so that other commands mean the same platform, and a
//! second `up` knows whether it would run with something else.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use common::digest::Digest;
use serde::{Deserialize, Serialize};

use super::settings::{From, toml_files};

const FILE: &str = "given.json";

/// What was given. Among it may be secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::command) struct Given {
    /// The folder of settings: an absolute path.
    config: Option<PathBuf>,
    /// What its files held, by name: one may be changed later.
    files: BTreeMap<String, Digest>,
    /// `service.section.key` and its value; of the same key the last counts.
    overrides: Vec<(String, String)>,
}

impl Given {
    /// As it was typed.
    pub(in crate::command) fn typed(
        config: Option<&Path>,
        overrides: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let config = config.map(std::path::absolute).transpose()?;
        // What cannot be read is told when the settings are.
        let files = config.as_deref().map(digests).transpose().unwrap_or_default();
        let files = files.unwrap_or_default();
        Ok(Given { config, files, overrides: overrides.to_vec() })
    }

    /// As `up` was given it for the platform of a folder, under what is typed now.
    pub(in crate::command) fn kept_under(
        data: &Path,
        config: Option<&Path>,
        overrides: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut given = Given::load(data).unwrap_or_default();
        if config.is_some() {
            given.config = Given::typed(config, &[])?.config;
        }
        given.overrides.extend_from_slice(overrides);
        Ok(given)
    }

    /// What the platform of a folder was given when it was started last; none where nobody has noted it.
    pub(in crate::command) fn load(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.join(FILE)).ok()?).ok()
    }

    /// Notes it in the folder, for this user alone.
    pub(super) fn keep(&self, data: &Path) -> anyhow::Result<()> {
        let file = data.join(FILE);
        let cannot = || format!("{} cannot be written", file.display());
        let part = file.with_extension("part");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut opened = options.open(&part).with_context(cannot)?;
        let written = opened.write_all(&serde_json::to_vec_pretty(self)?);
        written.and_then(|()| opened.sync_all()).with_context(cannot)?;
        fs::rename(&part, &file).with_context(cannot)
    }

    /// Where the settings of the platform of a folder come from.
    pub(in crate::command) fn sources<'a>(&'a self, data: &'a Path) -> From<'a> {
        From { data, files: self.config.as_deref(), overrides: &self.overrides }
    }

    /// The same as words of a command line.
    pub(super) fn words(&self) -> anyhow::Result<Vec<String>> {
        let mut words = Vec::new();
        if let Some(folder) = &self.config {
            let folder = folder.to_str().context("--config is not UTF-8")?;
            words.extend(["--config".to_owned(), folder.to_owned()]);
        }
        for (key, value) in &self.overrides {
            words.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        Ok(words)
    }
}

fn digests(folder: &Path) -> io::Result<BTreeMap<String, Digest>> {
    let mut digests = BTreeMap::new();
    for name in toml_files(folder)? {
        let digest = Digest::of(&fs::read(folder.join(&name))?);
        digests.insert(name, digest);
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set(value: &str) -> Vec<(String, String)> {
        vec![("node-agent.docker.socket".to_owned(), value.to_owned())]
    }

    #[test]
    fn what_up_was_given_is_kept_for_its_user_alone_and_read_back() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Given::load(data.path()), None);
        let given = Given::typed(None, &set("/run/one.sock")).unwrap();
        given.keep(data.path()).unwrap();
        assert_eq!(Given::load(data.path()), Some(given.clone()));
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let words = given.words().unwrap();
        assert_eq!(words, ["--set", "node-agent.docker.socket=/run/one.sock"]);
    }

    #[test]
    fn what_is_typed_now_comes_over_what_was_given_then() {
        let data = tempfile::tempdir().unwrap();
        Given::typed(None, &set("/run/one.sock")).unwrap().keep(data.path()).unwrap();
        let other = set("/run/other.sock");
        let given = Given::kept_under(data.path(), None, &other).unwrap();
        assert_eq!(given.sources(data.path()).overrides.last(), other.last());
        let given = Given::kept_under(data.path(), None, &[]).unwrap();
        assert_eq!(given.sources(data.path()).overrides, set("/run/one.sock"));
    }

    #[test]
    fn a_file_of_settings_that_changed_is_something_else() {
        let files = tempfile::tempdir().unwrap();
        let given = || Given::typed(Some(files.path()), &[]).unwrap();
        fs::write(files.path().join("up.toml"), "[edge]\n").unwrap();
        let before = given();
        assert_eq!(before, given());
        fs::write(files.path().join("up.toml"), "[edge]\nbind = \"0.0.0.0\"\n").unwrap();
        assert_ne!(before, given());
        assert_ne!(given(), Given::default());
    }
}
