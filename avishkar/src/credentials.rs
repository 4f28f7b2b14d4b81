//! Where the command line keeps who it is: server and token, in a file of mode 0600.

use std::env::home_dir;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What `login` notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) server: String,
    pub(crate) username: String,
    pub(crate) token: String,
}

fn file() -> anyhow::Result<PathBuf> {
    let sources = chassis::config::xdg_folder("XDG_CONFIG_HOME");
    let folder = match sources {
        Some(folder) => folder,
        None => home_dir().context("there is no home folder to keep the token in")?.join(".config"),
    };
    Ok(folder.join("avishkar").join("credentials.json"))
}

pub(crate) fn load() -> anyhow::Result<Option<Credentials>> {
    let file = file()?;
    match fs::read(&file) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes);
            read.map(Some).with_context(|| {
                format!("{} is not readable; run `avishkar login`", file.display())
            })
        }
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("{} cannot be read", file.display())),
    }
}

pub(crate) fn save(credentials: &Credentials) -> anyhow::Result<()> {
    let file = file()?;
    let folder = file.parent().context("the token's file has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let temporary = file.with_extension("part");
    let mut options = OpenOptions::new();
    let mut part = options.create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    part.write_all(&serde_json::to_vec_pretty(credentials)?)?;
    part.sync_all()?;
    fs::rename(&temporary, &file).with_context(|| format!("{} cannot be written", file.display()))
}
