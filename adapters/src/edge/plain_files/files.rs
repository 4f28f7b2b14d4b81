//! The folder: which of its files are ours, and how they are replaced.
//!
//! All new files are written and synced beside their places before the first takes its own, so that a full disk changes
//! nothing. The file of all is last: what it says of the others holds once it stands. How the folder was before is kept
//! in it until that is no longer wanted.

mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::port::edge::Error;

use super::conf::{COMMON_FILE, Conf, MARK, Manifest, Version, digest};

const MODE: u32 = 0o644;
/// Longer files are nobody's table.
const LARGEST: u64 = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    /// Who asked may be gone before the work is done, and the next must not find it half done.
    turn: Arc<Mutex<()>>,
}

/// What is in the folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Owned {
    /// Ours, by name.
    files: BTreeMap<String, Vec<u8>>,
    foreign: BTreeSet<String>,
    manifest: Option<Manifest>,
}

/// How the folder becomes what it was; none for a file that was not there.
#[derive(Debug, Clone, Default)]
pub(super) struct Undo {
    former: BTreeMap<String, Option<Vec<u8>>>,
}

impl Owned {
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    pub(super) fn is_foreign(&self, name: &str) -> bool {
        self.foreign.contains(name)
    }

    pub(super) fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.manifest.as_ref().map(|manifest| manifest.ports.clone()).unwrap_or_default()
    }

    pub(super) fn replicas(&self) -> BTreeSet<SocketAddr> {
        self.manifest.as_ref().map(|manifest| manifest.replicas.clone()).unwrap_or_default()
    }

    /// What is otherwise than it was written, in words for people.
    pub(super) fn damage(&self) -> Vec<String> {
        let Some(manifest) = &self.manifest else {
            let lost = (!self.files.is_empty())
                .then(|| format!("{COMMON_FILE} is gone or cannot be read"));
            return lost.into_iter().collect();
        };
        let differs = |(name, wanted): (&String, &String)| match self.files.get(name) {
            Some(bytes) if digest(bytes) == *wanted => None,
            Some(_) => Some(format!("{name} was changed")),
            None => Some(format!("{name} is gone")),
        };
        manifest.files.iter().filter_map(differs).collect()
    }

    /// Which table all files are of; none where they are of several.
    pub(super) fn whole(&self) -> Option<&Version> {
        let manifest = self.manifest.as_ref()?;
        let is_known = |name: &String| name == COMMON_FILE || manifest.files.contains_key(name);
        let is_whole = self.damage().is_empty() && self.files.keys().all(is_known);
        is_whole.then_some(&manifest.version)
    }
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Files { folder, turn: Arc::default() }
    }

    pub(super) async fn look(&self) -> Result<Owned, Error> {
        self.in_turn(look).await
    }

    /// Makes our files these and no others; the way back is kept until the change is settled.
    pub(super) async fn replace(&self, owned: &Owned, conf: &Conf) -> Result<Undo, Error> {
        let wanted =
            conf.files.iter().map(|(name, text)| (name.clone(), Some(text.clone().into_bytes())));
        let mut changes: BTreeMap<String, Option<Vec<u8>>> =
            owned.files.keys().map(|name| (name.clone(), None)).collect();
        changes.extend(wanted);
        changes.retain(|name, bytes| owned.files.get(name) != bytes.as_ref());
        let former =
            changes.keys().map(|name| (name.clone(), owned.files.get(name).cloned())).collect();
        let undo = Undo { former };
        let back = undo.clone();
        self.in_turn(move |folder| {
            undo::keep(folder, &back)?;
            change(folder, &changes).inspect_err(|_| drop(take_back(folder, &back)))
        })
        .await?;
        Ok(undo)
    }

    pub(super) async fn put_back(&self, undo: &Undo) -> Result<(), Error> {
        let undo = undo.clone();
        self.in_turn(move |folder| take_back(folder, &undo)).await
    }

    /// The way back from a change that nobody settled.
    pub(super) async fn unsettled(&self) -> Result<Option<Undo>, Error> {
        self.in_turn(undo::find).await
    }

    /// The files stay as they are.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        self.in_turn(undo::forget).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (folder, turn) = (self.folder.clone(), Arc::clone(&self.turn));
        blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            work(&folder)
        })
        .await
    }
}

fn look(folder: &Path) -> io::Result<Owned> {
    let mut owned = Owned::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if Path::new(&name).extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        match ours(&entry.path(), LARGEST) {
            Ok(Some(bytes)) => drop(owned.files.insert(name, bytes)),
            Ok(None) => drop(owned.foreign.insert(name)),
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
    }
    let common = owned.files.get(COMMON_FILE);
    owned.manifest = common.and_then(|bytes| Manifest::read(std::str::from_utf8(bytes).ok()?));
    Ok(owned)
}

/// None for what somebody else wrote, and for whatever is no file.
fn ours(path: &Path, largest: u64) -> io::Result<Option<Vec<u8>>> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_file() || about.len() > largest {
        return Ok(None);
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        // Who keeps it from us is not us.
        Err(err) if err.kind() == ErrorKind::PermissionDenied => return Ok(None),
        Err(err) => return Err(err),
    };
    let is_ours = bytes.starts_with(MARK.as_bytes()) && bytes.get(MARK.len()) == Some(&b'\n');
    Ok(is_ours.then_some(bytes))
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// What somebody else put in a place meanwhile is his.
fn take_back(folder: &Path, undo: &Undo) -> io::Result<()> {
    let mut former = BTreeMap::new();
    for (name, bytes) in &undo.former {
        let path = folder.join(name);
        if !is_there(&path)? || ours(&path, LARGEST)?.is_some() {
            former.insert(name.clone(), bytes.clone());
        }
    }
    change(folder, &former)?;
    undo::forget(folder)
}

fn change(folder: &Path, changes: &BTreeMap<String, Option<Vec<u8>>>) -> io::Result<()> {
    let beside = |name: &str| folder.join(format!(".{name}.new"));
    let written = changes.iter().try_for_each(|(name, bytes)| match bytes {
        Some(bytes) => write(&beside(name), bytes),
        None => Ok(()),
    });
    if let Err(err) = written {
        for name in changes.keys() {
            drop(fs::remove_file(beside(name)));
        }
        return Err(err);
    }
    // What goes is first: a port may have another owner in what comes.
    for (name, _) in changes.iter().filter(|(_, bytes)| bytes.is_none()) {
        remove(&folder.join(name))?;
    }
    let comes = changes.iter().filter(|(_, bytes)| bytes.is_some()).map(|(name, _)| name);
    let (common, apps): (Vec<&String>, Vec<&String>) = comes.partition(|name| *name == COMMON_FILE);
    for name in apps.into_iter().chain(common) {
        fs::rename(beside(name), folder.join(name))?;
    }
    File::open(folder)?.sync_all()
}

/// What is in the place is removed and not written through: it may lead out of the folder.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Files are read and written by blocking calls.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    #[expect(clippy::disallowed_methods, reason = "files are read and written by blocking calls")]
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|err| Error::Unavailable(err.into()))?
        .map_err(|err| Error::Unavailable(err.into()))
}

#[cfg(test)]
mod tests;
