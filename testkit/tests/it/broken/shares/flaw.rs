//! [`Flaw`]: what a broken share does otherwise, and the world that it is in.

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::Folder;
use testkit::contract::shares::World;
use testkit::shares::Trial;

use super::share::FlawedShare;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    LetsAnybodyIn,
    BlamesTheWay,
    ShowsItsSecret,
    StaysAtTheTop,
    DoesNotSort,
    ShowsTheHidden,
    ListsNothing,
    TakesFilesForFolders,
    ConfusesFolders,
    SaysAnotherVersionEachTime,
    KeepsItsVersion,
    KnowsNoBounds,
    TidiesNames,
    CutsFiles,
    GivesAllAtOnce,
    GivesWhatIsThere,
    MixesContents,
    ConfusesReaders,
    RemembersFiles,
    TakesOneOfAnySize,
}

/// What nobody may see.
pub(super) const SECRET: &str = "correct horse";

/// The suite's share behind a flaw.
pub(super) struct Flawed {
    trial: Trial,
    share: FlawedShare,
    flaw: Flaw,
}

impl Flawed {
    pub(super) fn with(flaw: Flaw) -> Self {
        let trial = Trial::begin();
        let share = FlawedShare::new(trial.memory().clone(), flaw);
        Flawed { trial, share, flaw }
    }
}

#[async_trait(?Send)]
impl World for Flawed {
    fn share(&self) -> &dyn Share {
        &self.share
    }

    fn refused(&self) -> Option<&dyn Share> {
        match (self.flaw, self.trial.refused()) {
            (Flaw::LetsAnybodyIn, _) => Some(&self.share),
            (Flaw::BlamesTheWay, _) => Some(self.share.blaming()),
            (_, refused) => refused,
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }

    fn fresh_folder(&self) -> Folder {
        self.trial.fresh_folder()
    }

    async fn put(&self, path: &str, content: Bytes) {
        let shown = path.replace("/.", "/");
        let path = if self.flaw == Flaw::ShowsTheHidden { &shown } else { path };
        self.trial.put(path, content).await;
    }

    async fn remove(&self, path: &str) {
        self.trial.remove(path).await;
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        if self.flaw == Flaw::TidiesNames {
            return self.trial.plant(folder, b"tidy").await;
        }
        self.trial.plant(folder, name).await
    }
}
