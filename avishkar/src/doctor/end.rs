//! How the platform of a folder ended last, as it says itself: for who looks afterwards.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::check::Check;
use crate::failure::{Failure, Obstacle};

const FILE: &str = "ended.json";

/// An end that somebody has to do something about.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    code: String,
    sentence: String,
    advice: String,
}

/// Notes why the platform did not start or did not go on; forgets it where nothing went wrong. One of a folder that
/// another has is not its own.
pub(crate) fn note(data: &Path, failed: Option<&anyhow::Error>) {
    let noted = match failed {
        None => forget(data),
        Some(err) => match err.downcast_ref::<Failure>() {
            Some(Failure::Obstacle { obstacle: Obstacle::FolderInUse, .. }) => return,
            Some(Failure::Obstacle { obstacle, sentence, advice, .. }) => {
                let (sentence, advice) = (sentence.clone(), advice.clone());
                let ended = Ended { code: obstacle.code().to_owned(), sentence, advice };
                serde_json::to_vec_pretty(&ended)
                    .map_err(std::io::Error::from)
                    .and_then(|bytes| fs::write(data.join(FILE), bytes))
            }
            Some(_) | None => return,
        },
    };
    if let Err(err) = noted {
        tracing::debug!(error = &err as &dyn std::error::Error, "the end is not noted");
    }
}

/// The platform is ready: whatever ended it before is over.
pub(crate) fn forget(data: &Path) -> std::io::Result<()> {
    match fs::remove_file(data.join(FILE)) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Nothing is said where it ended well.
pub(super) fn check(data: &Path) -> Option<Check> {
    let ended: Ended = serde_json::from_slice(&fs::read(data.join(FILE)).ok()?).ok()?;
    let obstacle = Obstacle::named(&ended.code)?;
    let sentence = format!("it did not start last time, or ended: {}", ended.sentence);
    Some(Check::failing("last start", obstacle.failure(sentence, ended.advice)))
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn why_it_ended_is_told_until_it_starts_again() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(check(place.path()), None);
        let failed = Obstacle::StoreReplaced.failure("the store is new", "accept it").into();
        note(place.path(), Some(&failed));
        let told = check(place.path()).unwrap();
        assert_eq!(told.verdict, Verdict::Failure(Obstacle::StoreReplaced));
        assert!(told.sentence.ends_with("the store is new"), "{told:?}");
        assert_eq!(told.advice.as_deref(), Some("accept it"));
        let in_use = Obstacle::FolderInUse.failure("process 7 has it", "").into();
        note(place.path(), Some(&in_use));
        assert!(check(place.path()).is_some(), "that is another's word");
        note(place.path(), None);
        assert_eq!(check(place.path()), None);
    }
}
