//! What of the disk may go, and in which order: pure. An image to which somebody refers never does, nor does a bundle.

pub(crate) mod bundles;

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::port::disk::{Item, Reference, Space, StoredImage};
use jiff::{SignedDuration, Timestamp};

/// How long an image stays that was made, fetched or started: whoever did so may not have said yet what it is for.
pub(crate) const RECENT: SignedDuration = SignedDuration::from_mins(15);

/// Who refers to what on this machine, apart from the containers that the engine knows of.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// By the digest of an image's name, or its id.
    pub(crate) named: Vec<(ImageRef, Reference)>,
    /// By the engine's id alone.
    pub(crate) by_id: Vec<(Digest, Reference)>,
    /// Digests that were used a moment ago.
    pub(crate) recent: BTreeSet<Digest>,
    /// How many of the newest images of an app stay as long as anything of it is referred to.
    pub(crate) newest: usize,
    /// Whether somebody has said what is kept. Until then the newest of every app stay.
    pub(crate) pinned: bool,
    pub(crate) now: Timestamp,
}

impl Claims {
    /// Who refers to an image by one of these names or its id.
    pub(crate) fn of(&self, id: &Digest, names: &[ImageRef]) -> BTreeSet<Reference> {
        let is_it =
            |digest: &Digest| digest == id || names.iter().any(|name| name.digest() == digest);
        let named = self.named.iter().filter(|(image, _)| is_it(image.digest()));
        let by_id = self.by_id.iter().filter(|(digest, _)| is_it(digest));
        let recent = self.recent.iter().any(is_it).then_some(Reference::Recent);
        let references = named.map(|(_, reference)| reference);
        references.chain(by_id.map(|(_, reference)| reference)).cloned().chain(recent).collect()
    }

    /// Whether anything of a repository is referred to, wherever it is.
    fn is_in_use(&self, repository: &str) -> bool {
        let is_it = |(image, _): &(ImageRef, Reference)| {
            let rest = image.repository().strip_suffix(repository);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        self.named.iter().any(is_it)
    }
}

/// What is on the disk with everybody who refers to it, the oldest first.
pub(crate) fn items(images: Vec<StoredImage>, claims: &Claims) -> Vec<Item> {
    let newest = newest(&images, claims);
    let mut items: Vec<Item> =
        images.into_iter().map(|image| item(image, claims, &newest)).collect();
    items.sort_by(|one, other| (one.created, &one.digest).cmp(&(other.created, &other.digest)));
    items
}

fn item(image: StoredImage, claims: &Claims, newest: &BTreeMap<Digest, String>) -> Item {
    let mut references = claims.of(&image.id, &image.names);
    references.extend(image.containers.into_iter().map(|name| Reference::Container { name }));
    let repository = newest.get(&image.id).cloned();
    references.extend(repository.map(|repository| Reference::Newest { repository }));
    if claims.now.duration_since(image.created) < RECENT {
        references.insert(Reference::Recent);
    }
    Item {
        kind: image.kind,
        digest: image.id,
        names: image.names,
        bytes: image.bytes,
        own_bytes: image.own_bytes,
        created: image.created,
        references: references.into_iter().collect(),
    }
}

/// The newest images of each app that is in use, or, while nobody has said what is kept, of each app.
fn newest(images: &[StoredImage], claims: &Claims) -> BTreeMap<Digest, String> {
    let mut of_app: BTreeMap<&str, Vec<&StoredImage>> = BTreeMap::new();
    for image in images {
        if let Some(repository) = &image.repository {
            of_app.entry(repository).or_default().push(image);
        }
    }
    let mut kept = BTreeMap::new();
    for (repository, mut images) in of_app {
        let runs = images.iter().any(|image| !image.containers.is_empty());
        if claims.pinned && !runs && !claims.is_in_use(repository) {
            continue;
        }
        images.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        for image in images.iter().take(claims.newest) {
            kept.insert(image.id.clone(), repository.to_owned());
        }
    }
    kept
}

/// How much is to be free in the end. More is wanted of the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Goal {
    Free(u64),
    /// All goes that may.
    Everything,
}

impl Goal {
    pub(crate) fn is_reached(self, free_bytes: u64) -> bool {
        match self {
            Goal::Everything => false,
            Goal::Free(wanted) => free_bytes >= wanted,
        }
    }
}

/// What goes of `items`, in their order, until the goal is reached: no more than is needed by what each frees at least.
pub(crate) fn plan(items: &[Item], free_bytes: u64, goal: Goal) -> Vec<&Item> {
    let mut free_bytes = free_bytes;
    let mut planned = Vec::new();
    for item in items.iter().filter(|item| item.is_collectable()) {
        if goal.is_reached(free_bytes) {
            break;
        }
        free_bytes = free_bytes.saturating_add(item.own_bytes);
        planned.push(item);
    }
    planned
}

/// When the disk is short, and when it no longer is: in percent of it. The two differ, so that what was freed lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub(crate) above_percent: f64,
    pub(crate) until_percent: f64,
}

impl Thresholds {
    /// What is to be free, if the disk is short.
    pub(crate) fn goal(self, space: Space) -> Option<Goal> {
        let used_bytes = space.total_bytes.saturating_sub(space.free_bytes);
        (used_bytes > share(space.total_bytes, self.above_percent)).then(|| self.relieved(space))
    }

    /// What is free once the disk is no longer short.
    pub(crate) fn relieved(self, space: Space) -> Goal {
        let used_bytes = share(space.total_bytes, self.until_percent);
        Goal::Free(space.total_bytes.saturating_sub(used_bytes))
    }
}

/// So many percent of something, to a hundredth of a percent.
fn share(bytes: u64, percent: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a percentage is from 0 to 100"
    )]
    let parts = (percent.clamp(0.0, 100.0) * 100.0) as u128;
    let bytes = u128::from(bytes) * parts / 10_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
