//! How this machine reaches packages, put into the context of a build: resolvers, authorities, and the
//! settings of package clients, laid out like a root file system below `build-env/`.
//!
//! Only builder stages copy it, and those are never pushed.

use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use tar::{Archive, Builder, EntryType, HeaderMode};

const FOLDER: &str = "build-env";

/// The context with the machine's folder in the place of its own; as it is where the machine has none.
pub(super) fn complete(context: Bytes, machine: &Path) -> io::Result<Bytes> {
    if !machine.is_dir() {
        return Ok(context);
    }
    let mut completed = Builder::new(Vec::with_capacity(context.len()));
    // Neither times nor owners: the same settings are the same layer.
    completed.mode(HeaderMode::Deterministic);
    for entry in Archive::new(context.as_ref()).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path.starts_with(FOLDER) {
            continue;
        }
        let mut header = entry.header().clone();
        if header.entry_type() == EntryType::Regular {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            completed.append_data(&mut header, path, content.as_slice())?;
        } else {
            completed.append_data(&mut header, path, io::empty())?;
        }
    }
    completed.append_dir_all(FOLDER, machine)?;
    Ok(completed.into_inner()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(context: &Bytes) -> Vec<String> {
        let mut archive = Archive::new(context.as_ref());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries.map(|entry| entry.path().unwrap().to_string_lossy().into_owned()).collect()
    }

    fn context() -> Bytes {
        let mut archive = Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        archive.append_data(&mut header, "Dockerfile", b"FROM".as_slice()).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        archive.append_data(&mut header, "build-env/", io::empty()).unwrap();
        archive.into_inner().unwrap().into()
    }

    #[test]
    fn the_machines_settings_take_the_place_of_the_empty_folder() {
        let machine = tempfile::tempdir().unwrap();
        std::fs::create_dir(machine.path().join("etc")).unwrap();
        std::fs::write(machine.path().join("etc/pip.conf"), "[global]\n").unwrap();
        let completed = complete(context(), machine.path()).unwrap();
        let names = names(&completed);
        assert_eq!(names.first().map(String::as_str), Some("Dockerfile"));
        assert!(names.iter().any(|name| name == "build-env/etc/pip.conf"), "{names:?}");
        assert_eq!(completed, complete(context(), machine.path()).unwrap());
    }

    #[test]
    fn a_machine_without_settings_changes_nothing() {
        assert_eq!(complete(context(), Path::new("/nowhere/at/all")).unwrap(), context());
    }
}
