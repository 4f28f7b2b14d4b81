//! The releases that were in service last: what is kept of each, and how many are.

use common::digest::ImageRef;
use common::id::ReleaseNumber;
use common::record::deployment::Deployment;
use common::record::kept::{Kept, Way};
use jiff::Timestamp;

/// The newest generation is in service from now on. A release is kept once, where it was last.
pub(super) fn enter(deployment: &mut Deployment, image: &ImageRef, now: Timestamp) {
    let number = deployment.release;
    keep_unrecorded(deployment, now);
    if deployment.origin.way == Way::RolledBack {
        let left = deployment.releases.iter_mut().filter(|kept| kept.number > number);
        for kept in left.filter(|kept| kept.rolled_back_at.is_none()) {
            kept.rolled_back_at = Some(now);
        }
    }
    deployment.releases.retain(|kept| kept.number != number);
    deployment.releases.push(Kept {
        number,
        image: image.clone(),
        bundle: deployment.origin.bundle.clone(),
        generation: deployment.rising(),
        request: deployment.request,
        by: deployment.origin.by.clone(),
        since: now,
        rolled_back_at: None,
    });
}

/// A record from before releases were kept says only what is served: that may be gone back to as well. What it was
/// built of, by whom and when it came into service is not known any more.
fn keep_unrecorded(deployment: &mut Deployment, now: Timestamp) {
    if !deployment.releases.is_empty() {
        return;
    }
    let served = deployment.serving.as_ref().filter(|served| served.release != deployment.release);
    let kept = served.map(|served| Kept {
        number: served.release,
        image: served.image.clone(),
        bundle: None,
        generation: served.generation,
        request: deployment.request,
        by: None,
        since: now,
        rolled_back_at: None,
    });
    deployment.releases.extend(kept);
}

/// Forgets those that were in service longest ago; the last one may be there still.
pub(crate) fn keep(deployment: &mut Deployment, most: usize) {
    let surplus = deployment.releases.len().saturating_sub(most.max(1));
    deployment.releases.drain(..surplus);
}

/// What ran as a release when it was in service.
pub(crate) fn image_of(deployment: &Deployment, number: ReleaseNumber) -> Option<&ImageRef> {
    let kept = deployment.releases.iter().find(|kept| kept.number == number);
    kept.map(|kept| &kept.image)
}

#[cfg(test)]
mod tests {
    use common::failure::FailureCode;

    use super::super::change::{Change, note};
    use super::super::patience::Patience;
    use super::super::simulation::{Luck, World};
    use super::*;

    fn world() -> World {
        World::new(2, 1)
    }

    /// Number and whether it was rolled back, in the order of service.
    fn kept(world: &World) -> Vec<(u32, bool)> {
        let kept = world.deployment.as_ref().unwrap().releases.iter();
        kept.map(|kept| (kept.number.0, kept.rolled_back_at.is_some())).collect()
    }

    fn deployed(world: &mut World, release: u32, way: Way) {
        world.deploy_release(ReleaseNumber(release), way);
        world.run();
    }

    #[test]
    fn each_release_that_went_into_service_is_kept_once_in_that_order() {
        let mut world = world();
        for release in [1, 2, 3, 2] {
            deployed(&mut world, release, Way::Deployed);
        }
        assert_eq!(kept(&world), [(1, false), (3, false), (2, false)]);
        let deployment = world.deployment.as_ref().unwrap();
        let newest = deployment.releases.last().unwrap();
        let serving = deployment.serving.as_ref().unwrap();
        assert_eq!((newest.generation, &newest.image), (serving.generation, &serving.image));
        assert_eq!(newest.request, deployment.request);
    }

    #[test]
    fn going_back_marks_what_is_newer_and_deploying_it_again_takes_the_mark_away() {
        let mut world = world();
        for release in 1..=3 {
            deployed(&mut world, release, Way::Deployed);
        }
        deployed(&mut world, 1, Way::RolledBack);
        assert_eq!(kept(&world), [(2, true), (3, true), (1, false)]);
        // Forward again, whatever it is called, leaves nothing behind as bad.
        deployed(&mut world, 3, Way::RolledBack);
        assert_eq!(kept(&world), [(2, true), (1, false), (3, false)]);
    }

    #[test]
    fn what_never_went_into_service_is_not_kept() {
        let mut world = world();
        deployed(&mut world, 1, Way::Deployed);
        world.luck = Luck::Start(FailureCode::ImageUnavailable);
        deployed(&mut world, 2, Way::Deployed);
        assert_eq!(kept(&world), [(1, false)]);
    }

    #[test]
    fn what_is_noted_twice_is_kept_once() {
        let mut world = world();
        deployed(&mut world, 1, Way::Deployed);
        let mut again = world.deployment.clone().unwrap();
        note(&mut again, &[Change::Running], &Patience::default(), world.now);
        let before = world.deployment.unwrap();
        assert_eq!(again.releases.len(), 1);
        assert_eq!(again.releases[0].image, before.releases[0].image);
    }

    #[test]
    fn what_was_served_before_releases_were_kept_is_kept_with_the_next_one() {
        let mut world = world();
        deployed(&mut world, 1, Way::Deployed);
        let record = world.deployment.as_mut().unwrap();
        record.releases.clear();
        let served = record.serving.clone().unwrap();
        deployed(&mut world, 2, Way::Deployed);
        assert_eq!(kept(&world), [(1, false), (2, false)]);
        let before = &world.deployment.as_ref().unwrap().releases[0];
        assert_eq!((before.generation, &before.image), (served.generation, &served.image));
        // The same release again is kept once.
        world.deployment.as_mut().unwrap().releases.clear();
        deployed(&mut world, 2, Way::Deployed);
        assert_eq!(kept(&world), [(2, false)]);
    }

    #[test]
    fn the_oldest_are_forgotten_and_never_the_last_one() {
        let mut world = world();
        for release in 1..=4 {
            deployed(&mut world, release, Way::Deployed);
        }
        let mut deployment = world.deployment.unwrap();
        keep(&mut deployment, 2);
        let numbers = |deployment: &Deployment| -> Vec<u32> {
            deployment.releases.iter().map(|kept| kept.number.0).collect()
        };
        assert_eq!(numbers(&deployment), [3, 4]);
        assert!(image_of(&deployment, ReleaseNumber(3)).is_some());
        assert!(image_of(&deployment, ReleaseNumber(2)).is_none());
        keep(&mut deployment, 0);
        assert_eq!(numbers(&deployment), [4]);
    }
}
