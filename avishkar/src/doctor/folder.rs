//! The folder of bus and store: may it be written, by this version, by us alone, and has its disk room.

use std::path::PathBuf;

use adapters::embedded::{Error, Look};

use super::Purpose;
use super::check::Check;
use super::machine;
use crate::failure::{Failure, Obstacle};

const NAME: &str = "folder";
/// Below the first, nothing is started any more: what runs needs the rest. Below the second, bundles
/// and messages fill it soon.
const FULL: u64 = 64 * machine::MIB;
const SCARCE: u64 = 512 * machine::MIB;

/// What was seen of the folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Whether bus and store could be opened, as far as it is seen from outside; or whether the
    /// folder, or where it would be made, can be written.
    pub(super) look: Result<Look, Seen>,
    /// How many bytes of its disk this user may still fill.
    pub(super) free: Option<u64>,
}

/// What speaks against the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    InUse { by: Option<u32> },
    Unusable(Check),
}

impl From<Error> for Seen {
    fn from(err: Error) -> Self {
        match err {
            Error::InUse { by, .. } => Seen::InUse { by },
            err @ (Error::Newer { .. }
            | Error::Damaged { .. }
            | Error::NotWritable { .. }
            | Error::DiskFull { .. }
            | Error::Failed { .. }
            | Error::Overloaded { .. }
            | Error::TopicFull { .. }
            | Error::Closed { .. }) => Seen::Unusable(Check::failing(NAME, err.into())),
        }
    }
}

pub(super) fn is_in_use(folder: &Folder) -> bool {
    matches!(folder.look, Err(Seen::InUse { .. }))
}

pub(super) fn usable(folder: &Folder, purpose: Purpose) -> Check {
    let path = folder.path.display();
    match (&folder.look, purpose) {
        (Ok(Look::New), _) => {
            Check::fine(NAME, format!("{path} can be made where nothing was kept yet"))
        }
        (Ok(Look::Known { format }), _) => {
            Check::fine(NAME, format!("{path} can be used, and is of format {format}"))
        }
        (Err(Seen::InUse { by: Some(id) }), Purpose::Examine) => {
            Check::fine(NAME, format!("{path} is in use: the platform runs as process {id}"))
        }
        (Err(Seen::InUse { by: None }), Purpose::Examine) => {
            Check::fine(NAME, format!("{path} is in use: the platform runs"))
        }
        (Err(Seen::InUse { by }), Purpose::Start) => {
            let err = Error::InUse { folder: folder.path.clone(), by: *by };
            Check::failing(NAME, Failure::from(err))
        }
        (Err(Seen::Unusable(check)), _) => check.clone(),
    }
}

/// Nothing where the room is not known.
pub(super) fn room(folder: &Folder) -> Option<Check> {
    let free = folder.free?;
    let name = "folder disk";
    let sentence = format!("{} are free on the disk of {}", size(free), folder.path.display());
    let advice = "make room on it, or name a folder on another disk with --data; nothing is lost";
    Some(if free < FULL {
        Check::failing(name, Obstacle::FolderDiskFull.failure(sentence, advice))
    } else if free < SCARCE {
        Check::warning(name, sentence, advice)
    } else {
        Check::fine(name, sentence)
    })
}

/// `1.5 GiB`, or `200 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let mebibytes = bytes / machine::MIB;
    if mebibytes < 1024 {
        return format!("{mebibytes} MiB");
    }
    let tenths = mebibytes * 10 / 1024;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn folder(look: Result<Look, Seen>) -> Folder {
        Folder { path: "state".into(), look, free: None }
    }

    fn seen(err: Error) -> Folder {
        folder(Err(err.into()))
    }

    #[test]
    fn a_folder_in_use_is_right_while_one_looks_and_wrong_when_one_starts() {
        let held = || seen(Error::InUse { folder: "state".into(), by: Some(4711) });
        assert!(is_in_use(&held()));
        let looked = usable(&held(), Purpose::Examine);
        assert_eq!(looked.verdict, Verdict::Fine);
        assert!(looked.sentence.contains("process 4711"), "{}", looked.sentence);
        let started = usable(&held(), Purpose::Start);
        assert_eq!(started.verdict, Verdict::Failure(Obstacle::FolderInUse));
    }

    #[test]
    fn whatever_else_speaks_against_a_folder_does_so_always() {
        let refused = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let path = || PathBuf::from("state");
        let cases = [
            (
                Error::Newer { folder: path(), found: 2, known: 1 },
                Verdict::Failure(Obstacle::FolderNewer),
            ),
            (
                Error::Damaged { file: path(), source: "x".into() },
                Verdict::Failure(Obstacle::FolderDamaged),
            ),
            (
                Error::NotWritable { path: path(), source: refused() },
                Verdict::Failure(Obstacle::FolderNotWritable),
            ),
            (
                Error::Failed { path: path(), source: "x".into() },
                Verdict::Failure(Obstacle::FolderFailed),
            ),
        ];
        for (err, verdict) in cases {
            let folder = seen(err);
            for purpose in [Purpose::Examine, Purpose::Start] {
                let check = usable(&folder, purpose);
                assert_eq!(check.verdict, verdict, "{check:?}");
                assert!(check.advice.is_some(), "{check:?}");
            }
        }
        for look in [Look::New, Look::Known { format: 1 }] {
            assert_eq!(usable(&folder(Ok(look)), Purpose::Start).verdict, Verdict::Fine);
        }
    }

    #[test]
    fn a_disk_that_fills_is_warned_of_before_it_fails() {
        let verdict = |free| {
            let folder = Folder { free: Some(free), ..folder(Ok(Look::New)) };
            room(&folder).unwrap().verdict
        };
        let full = Verdict::Failure(Obstacle::FolderDiskFull);
        assert_eq!(
            [0, FULL - 1, FULL, SCARCE - 1, SCARCE].map(verdict),
            [full, full, Verdict::Warning, Verdict::Warning, Verdict::Fine]
        );
        assert_eq!(room(&folder(Ok(Look::New))), None);
    }

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!(size(200 * machine::MIB + 5), "200 MiB");
        assert_eq!(size(1536 * machine::MIB), "1.5 GiB");
        assert_eq!(size(0), "0 MiB");
    }
}
