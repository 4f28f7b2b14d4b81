//! What becomes of an instance's releases, turn by turn: which one may be served in the end, and which one beside it.

use std::collections::BTreeSet;

use common::name::AppName;
use common::record::course::Share;

/// Each with which of its app's it is in the order in which they were made, and with the number that says what it is
/// made of: what was released before and is again is younger than what was released between.
pub(super) type Releases = BTreeSet<(AppName, usize, u32)>;

/// What somebody asked for.
#[derive(Debug)]
pub(super) enum Turn {
    /// One of these is to be served.
    Whole(Releases),
    /// One of these is to get a share beside what is served.
    Canary(Releases, Share),
    /// The canary is to be served.
    Promote,
    /// The canary is to go, or what was served before is to be served again.
    Back,
    Stop,
}

/// A canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) releases: Releases,
    share: Share,
}

impl Beside {
    /// How many replicas it has where so many are wanted.
    pub(super) fn replicas(&self, wanted: usize) -> usize {
        let part = wanted * usize::from(self.share.percent());
        part.div_ceil(100).max(1)
    }
}

/// What may be.
#[derive(Debug)]
pub(super) struct Outlook {
    pub(super) served: Releases,
    /// The canaries that may be there; none: that there is none.
    pub(super) beside: Vec<Option<Beside>>,
    /// All that may ever have been served.
    seen: Releases,
}

impl Outlook {
    /// What follows from turns, each with whether it came to its end.
    pub(super) fn of<'a>(first: &Releases, turns: impl Iterator<Item = (&'a Turn, bool)>) -> Self {
        let mut outlook =
            Outlook { served: first.clone(), beside: vec![None], seen: first.clone() };
        for (turn, is_done) in turns {
            outlook.take(turn, is_done);
        }
        outlook
    }

    fn take(&mut self, turn: &Turn, is_done: bool) {
        match turn {
            Turn::Whole(releases) => self.serve(releases.clone(), is_done),
            Turn::Canary(releases, share) => {
                self.end(is_done);
                if is_done {
                    self.beside.clear();
                }
                self.beside.push(Some(Beside { releases: releases.clone(), share: *share }));
            }
            Turn::Promote => self.serve(self.canaries(), is_done),
            Turn::Back => self.serve(self.before(), is_done),
            Turn::Stop => self.end(is_done),
        }
    }

    fn serve(&mut self, releases: Releases, is_done: bool) {
        self.seen.extend(releases.iter().cloned());
        if is_done {
            self.served = releases;
        } else {
            self.served.extend(releases);
        }
        self.end(is_done);
    }

    /// There is no canary any more; where that did not come to its end, there may be one.
    fn end(&mut self, is_done: bool) {
        if is_done {
            self.beside.clear();
        }
        self.beside.push(None);
    }

    /// What a step back leads to: to what is beside a canary, or to something older than what was asked for last.
    fn before(&self) -> Releases {
        let canaries = self.canaries();
        let asked = self.served.union(&canaries).map(|(_, nth, _)| *nth).max();
        let older = self.seen.iter().filter(|(_, nth, _)| Some(*nth) < asked).cloned();
        let beside = self.served.iter().filter(|_| !canaries.is_empty()).cloned();
        older.chain(beside).collect()
    }

    /// It may have come to nothing since.
    pub(super) fn doubt(&mut self) {
        self.beside.push(None);
    }

    /// The releases of all canaries that may be there.
    pub(super) fn canaries(&self) -> Releases {
        let releases = self.beside.iter().flatten().flat_map(|one| one.releases.iter());
        releases.cloned().collect()
    }

    /// All that may be served, or beside it.
    pub(super) fn either(&self) -> Releases {
        self.served.union(&self.canaries()).cloned().collect()
    }

    /// All that may run, whatever came to its end.
    pub(super) fn all(&self) -> Releases {
        let known = self.seen.union(&self.served).cloned();
        known.chain(self.canaries()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(nth: usize, number: u32) -> Releases {
        [("shop".parse().unwrap(), nth, number)].into()
    }

    fn back_from(turns: &[(usize, u32)]) -> Releases {
        let turns = turns.iter().map(|(nth, number)| Turn::Whole(release(*nth, *number)));
        let turns: Vec<Turn> = turns.chain([Turn::Back]).collect();
        Outlook::of(&Releases::new(), turns.iter().map(|turn| (turn, true))).served
    }

    #[test]
    fn a_step_back_leads_to_what_was_made_before() {
        assert_eq!(back_from(&[(0, 1), (1, 2)]), release(0, 1));
        assert_eq!(back_from(&[(1, 2), (0, 1)]), Releases::new());
    }

    #[test]
    fn what_is_released_again_is_younger_than_what_was_released_between() {
        assert_eq!(back_from(&[(1, 4), (2, 2)]), release(1, 4));
    }
}
