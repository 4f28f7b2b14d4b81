//! I8: what an instance can go back to is what was in service, and nothing else gets in or out.

use common::record::deployment::Deployment;

use super::{Change, Checker, Invariant};

impl Checker {
    /// The kept releases change where another generation is served from then on, and nowhere else.
    pub(super) fn check_releases(&mut self, change: &Change<'_>) {
        let Change { path, before, after: Some(after) } = *change else { return };
        let same = |before: &Deployment| before.releases == after.releases;
        let served = |one: &Deployment| one.serving.as_ref().map(|serving| serving.generation);
        let now = served(after);
        let enters = now.is_some() && before.and_then(served) != now;
        let flaw = if enters {
            flaw_of_newest(after)
        } else {
            let kept = before.map_or(after.releases.is_empty(), same);
            (!kept).then_some("changed although nothing came into service")
        };
        let mut numbers: Vec<_> = after.releases.iter().map(|kept| kept.number).collect();
        numbers.sort_unstable();
        let is_once = numbers.windows(2).all(|pair| pair.first() != pair.last());
        let flaw = flaw.or_else(|| (!is_once).then_some("has a number twice"));
        if let Some(flaw) = flaw {
            let what = format!("what {path} can go back to {flaw}: {:?}", after.releases);
            self.violate(Invariant::I8Monotone, what);
        }
    }
}

fn flaw_of_newest(after: &Deployment) -> Option<&'static str> {
    let (Some(newest), Some(serving)) = (after.releases.last(), &after.serving) else {
        return Some("does not name what is served");
    };
    let is_it = newest.number == serving.release
        && newest.image == serving.image
        && newest.generation == serving.generation
        && newest.rolled_back_at.is_none();
    (!is_it).then_some("ends with something else than what is served")
}
