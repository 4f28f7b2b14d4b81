//! What a folder and its databases look like from outside. Nothing is made, written or repaired.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use super::failure::{self, Error};
use super::{bus, folder, medium, store};

/// How every file of redb begins, as its format lays down.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// A folder that nothing speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It is not there, or nobody has written to it yet.
    New,
    /// It is of a format that this version reads.
    Known { format: u32 },
}

/// Looks at a folder: is it in use, of a format that is known, and are its databases what they
/// should be at their beginning? Whether they are whole is seen when they are opened.
///
/// Blocks. To see whether the folder is in use its lock is taken for a moment, shared with others
/// who look: who opens the folder at that very moment is told that it is in use.
pub fn look(path: &Path) -> Result<Look, Error> {
    is_free(path)?;
    let Some(format) = folder::known_format(path)? else { return Ok(Look::New) };
    for name in [bus::FILE, store::FILE] {
        begins_well(&path.join(name))?;
    }
    Ok(Look::Known { format })
}

fn is_free(path: &Path) -> Result<(), Error> {
    let lock_file = path.join(folder::LOCK_FILE);
    let file = match File::open(&lock_file) {
        Ok(file) => file,
        Err(err) if is_absent(err.kind()) => return Ok(()),
        Err(err) => return Err(failure::of_io(&lock_file, err)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::InUse { folder: path.to_owned(), by: folder::signature(&file) })
        }
        Err(TryLockError::Error(err)) => Err(failure::of_io(&lock_file, err)),
    }
}

/// A file that has its name is whole: one that is empty, or begins otherwise, was changed since.
fn begins_well(file: &Path) -> Result<(), Error> {
    let mut opened = match File::open(file) {
        Ok(opened) => opened,
        Err(err) if is_absent(err.kind()) => return was_never_there(file),
        Err(err) => return Err(failure::of_io(file, err)),
    };
    let mut beginning = [0; MAGIC.len()];
    opened.read_exact(&mut beginning).map_err(|err| failure::of_io(file, err))?;
    if beginning == MAGIC {
        return Ok(());
    }
    Err(Error::Damaged { file: file.to_owned(), source: "it does not begin as a database".into() })
}

fn was_never_there(file: &Path) -> Result<(), Error> {
    match medium::is_missing(file) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Damaged { file: file.to_owned(), source: medium::MISSING.into() }),
        Err(err) => Err(failure::of_io(file, err)),
    }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Folder;
    use super::*;

    #[test]
    fn what_is_not_there_is_new_and_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("deep/below");
        assert_eq!(look(&path).unwrap(), Look::New);
        assert!(!place.path().join("deep").exists());
        assert_eq!(look(place.path()).unwrap(), Look::New);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_in_use_is_told_with_who_uses_it_and_goes_on_being_used() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let refused = look(place.path()).unwrap_err();
        let own = std::process::id();
        assert!(matches!(refused, Error::InUse { by: Some(by), .. } if by == own), "{refused}");
        drop(folder);
        assert_eq!(look(place.path()).unwrap(), Look::Known { format: 1 });
        drop(Folder::open(place.path()).unwrap());
    }

    #[test]
    fn a_format_or_a_file_that_is_not_what_it_should_be_is_named() {
        let place = tempfile::tempdir().unwrap();
        drop(Folder::open(place.path()).unwrap());
        let store = place.path().join("store.redb");
        for content in ["", "redb", "something else altogether"] {
            fs::write(&store, content).unwrap();
            let refused = look(place.path()).unwrap_err();
            assert!(
                matches!(refused, Error::Damaged { ref file, .. } if *file == store),
                "{refused}"
            );
        }
        redb::Database::create(place.path().join("fresh.redb")).unwrap();
        fs::rename(place.path().join("fresh.redb"), &store).unwrap();
        assert_eq!(look(place.path()).unwrap(), Look::Known { format: 1 });
        fs::write(store.with_extension("made"), "").unwrap();
        assert_eq!(look(place.path()).unwrap(), Look::Known { format: 1 });
        fs::remove_file(&store).unwrap();
        let refused = look(place.path()).unwrap_err();
        assert!(matches!(refused, Error::Damaged { ref file, .. } if *file == store), "{refused}");
        fs::remove_file(store.with_extension("made")).unwrap();
        fs::write(place.path().join("format"), "2\n").unwrap();
        assert!(matches!(look(place.path()), Err(Error::Newer { found: 2, known: 1, .. })));
    }
}
