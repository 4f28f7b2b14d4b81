//! The files and folders themselves.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, chown, fchown,
};
use std::path::{Path, PathBuf};

use common::name::PartName;
use common::port::part::{PartFolders, PartSpec, PartVolume, VolumeSource};
use common::port::part_containers::{MountSource, PartMount, PartSite};

/// Only root goes through: what is mounted needs no way to it.
const CLOSED: u32 = 0o700;
/// A part's own folder, and one that parts share.
const FOLDER: u32 = 0o750;
/// Keys are among a part's files.
const FILE: u32 = 0o400;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    parts: PathBuf,
    shared: PathBuf,
    machines_socket: PathBuf,
}

impl Tree {
    pub(super) fn new(folder: &Path, machines_socket: PathBuf) -> Self {
        Tree { parts: folder.join("parts"), shared: folder.join("shared"), machines_socket }
    }

    pub(super) fn prepare(&self, spec: &PartSpec) -> io::Result<PartSite> {
        let mut site = PartSite::default();
        let files = self.files(&spec.name).join(spec.hash());
        make_folder(&files, CLOSED)?;
        for (number, file) in spec.files.iter().enumerate() {
            let path = files.join(number.to_string());
            put(&path, file.content.as_bytes(), spec.user)?;
            let from = MountSource::Path(path);
            site.mounts.push(PartMount { from, path: file.path.clone(), read_only: true });
        }
        for volume in &spec.volumes {
            let from = match &volume.from {
                VolumeSource::Own(name) => {
                    let folder = self.part(&spec.name).join("volumes").join(name.as_str());
                    give_folder(&folder, spec.user, volume)?
                }
                VolumeSource::Shared(name) => {
                    give_folder(&self.shared.join(name.as_str()), spec.user, volume)?
                }
                VolumeSource::Memory(name) => MountSource::Memory(name.clone()),
                VolumeSource::MachinesSocket => {
                    // A machine that makes no machines has none.
                    let Some(group) = self.machines_group()? else { continue };
                    site.groups.push(group);
                    MountSource::Path(self.machines_socket.clone())
                }
            };
            let (path, read_only) = (volume.path.clone(), volume.read_only);
            site.mounts.push(PartMount { from, path, read_only });
        }
        Ok(site)
    }

    /// The group that may use the socket, if it is there.
    fn machines_group(&self) -> io::Result<Option<u32>> {
        match fs::metadata(&self.machines_socket) {
            Ok(found) if found.file_type().is_socket() => Ok(Some(found.gid())),
            Ok(_) => Ok(None),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    pub(super) fn keep_only(&self, name: &PartName, hash: &str) -> io::Result<()> {
        for entry in fs::read_dir(self.files(name))? {
            let entry = entry?;
            if entry.file_name() != hash {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn clear(&self, name: &PartName, data: PartFolders) -> io::Result<()> {
        let unwanted = match data {
            PartFolders::Keep => self.files(name),
            PartFolders::Discard => self.part(name),
        };
        match fs::remove_dir_all(unwanted) {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn part(&self, name: &PartName) -> PathBuf {
        self.parts.join(name.as_str())
    }

    fn files(&self, name: &PartName) -> PathBuf {
        self.part(name).join("files")
    }
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Makes a folder that a part's user may use. Who only reads it takes it from nobody.
fn give_folder(path: &Path, user: u32, volume: &PartVolume) -> io::Result<MountSource> {
    let is_new = !path.exists();
    if let Some(parent) = path.parent() {
        make_folder(parent, CLOSED)?;
    }
    make_folder(path, FOLDER)?;
    if is_new || (!volume.read_only && fs::metadata(path)?.uid() != user) {
        chown(path, Some(user), Some(user))?;
    }
    Ok(MountSource::Path(path.to_owned()))
}

/// Puts a file in its place, whole, unless it is there. One that is mounted somewhere stays the same file.
fn put(path: &Path, content: &[u8], user: u32) -> io::Result<()> {
    if is_so(path, content, user) {
        return Ok(());
    }
    let part = path.with_extension("part");
    drop(fs::remove_file(&part));
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(FILE).open(&part)?;
    file.write_all(content)?;
    fchown(&file, Some(user), Some(user))?;
    file.sync_all()?;
    fs::rename(&part, path)
}

fn is_so(path: &Path, content: &[u8], user: u32) -> bool {
    let owner = fs::metadata(path).map(|found| found.uid());
    owner.is_ok_and(|owner| owner == user) && fs::read(path).is_ok_and(|found| found == content)
}

#[cfg(test)]
mod tests;
