//! The disk of this machine, or the two of them: what the platform has there, who refers to it, and the removal of what
//! nobody does.
//!
//! Owns that an image goes only while nobody starts it, and after one more look at who refers to it, and that images go
//! before bundles, which nobody can make again. Which may go is decided in `domain::collection`; what the platform did
//! not make is never seen here.

mod holds;
mod pins;

use std::collections::BTreeSet;
use std::path::Path;

use common::digest::Digest;
use common::port::containers;
use common::port::disk::{
    Bundle, Collected, Collection, Disk, Item, Kind, Mode, Needs, Outcome, Pin, Reference, Removed,
    Space,
};
use common::port::nodes::Issuer;
use common::port::part::PartImage;

use crate::agent::{Agent, Error};
use crate::bundles::Word;
use crate::config::Config;
use crate::domain::collection::{Claims, Goal, items, plan};

pub(crate) use holds::Holds;
pub(crate) use pins::Pins;

/// How large the disk of a folder is, or of the one in which it would be, and how much of it is free for everybody.
pub(crate) fn space(folder: &Path) -> Option<Space> {
    let disk = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok())?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    // What is kept for the system is neither used nor free.
    let total_bytes = (used + disk.f_bavail).saturating_mul(disk.f_frsize);
    Some(Space { total_bytes, free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize) })
}

/// The disk of bundles, where it is another than that of images. Of one disk the kernel may have several numbers, as for parts
/// of a btrfs or for an overlay: these are of one size.
pub(crate) fn bundle_space(config: &Config) -> Option<Space> {
    let folder = config.blobs_folder();
    let is_other = device(&folder)? != device(&config.disk)?;
    let (own, images) = (space(&folder)?, space(&config.disk)?);
    (is_other && own.total_bytes != images.total_bytes).then_some(own)
}

/// By which the kernel knows the disk of a folder, or of the one in which it would be.
fn device(folder: &Path) -> Option<u64> {
    folder.ancestors().find_map(|folder| rustix::fs::stat(folder).ok()).map(|stat| stat.st_dev)
}

/// Everything there is, and who refers to it.
pub(crate) async fn look(agent: &Agent) -> Result<Disk, Error> {
    let images = look_at_images(agent).await?;
    // Before the bundles are looked at: what is used from now on is younger than this.
    let at = agent.ports.clock.now();
    let bundle = |item: Item| {
        let Item { digest, bytes, references, .. } = item;
        Bundle { digest, bytes, references }
    };
    let bundles = look_at_bundles(agent).await.into_iter().map(bundle).collect();
    let bundle_space = bundle_space(&agent.config);
    Ok(Disk { at, space: measure(agent)?, images, bundles, bundle_space })
}

async fn look_at_images(agent: &Agent) -> Result<Vec<Item>, Error> {
    let stored = agent.ports.containers.stored_images().await.map_err(Error::Engine)?;
    // Whatever was told since stands in the ledger by now.
    Ok(items(stored, &claims(agent)))
}

fn measure(agent: &Agent) -> Result<Space, Error> {
    space(&agent.config.disk).ok_or_else(unmeasured)
}

fn unmeasured() -> Error {
    Error::Engine(containers::Error::Unavailable("the disk cannot be measured".into()))
}

/// None, where they cannot be read: images go all the same.
async fn look_at_bundles(agent: &Agent) -> Vec<Item> {
    agent.bundles.look().await.unwrap_or_else(|err| {
        tracing::debug!(error = &err as &dyn std::error::Error, "bundles cannot be looked at");
        Vec::new()
    })
}

/// In the order in which it goes, where it may. Bundles on another disk make no room on that of images.
async fn look_at_all(agent: &Agent, goal: Goal) -> Result<Vec<Item>, Error> {
    let mut items = look_at_images(agent).await?;
    if goal == Goal::Everything || bundle_space(&agent.config).is_none() {
        items.extend(look_at_bundles(agent).await);
    }
    Ok(items)
}

/// Who refers to images on this machine.
fn claims(agent: &Agent) -> Claims {
    let ledger = agent.ledger.read();
    let pins = agent.pins.now();
    let wanted = ledger
        .containers()
        .specs()
        .map(|spec| (spec.image.clone(), Reference::Wanted { container: spec.name() }));
    let pinned = pins.iter().flat_map(|pins| pins.iter());
    let pinned = pinned.map(|pin| (pin.image.clone(), Reference::Pinned { by: pin.by.clone() }));
    let mut claims = Claims {
        named: wanted.chain(pinned).collect(),
        by_id: Vec::new(),
        recent: agent.holds.recent(),
        newest: agent.config.keep_newest,
        pinned: pins.is_some(),
        now: agent.ports.clock.now(),
    };
    for spec in ledger.parts().specs() {
        let reference = Reference::Part { part: spec.name.clone() };
        match &spec.image {
            PartImage::Named(image) => claims.named.push((image.clone(), reference)),
            PartImage::Built(code) => claims.named.push((code.image(), reference)),
            PartImage::Id(id) => claims.by_id.push((id.clone(), reference)),
        }
    }
    claims
}

/// Takes note of all images that are kept.
pub(crate) async fn pin(agent: &Agent, issuer: Issuer, pins: Vec<Pin>) -> Result<(), Error> {
    agent.announce(issuer).await?;
    agent.pins.replace(pins).await.map_err(Error::Ledger)
}

/// Takes note of which bundles are needed.
pub(crate) async fn need(
    agent: &Agent,
    issuer: Issuer,
    needs: Needs,
    word: Word,
) -> Result<(), Error> {
    agent.announce(issuer).await?;
    agent.bundles.hear(needs, word);
    Ok(())
}

/// Removes what may go, the oldest first, until so much is free; or says what would go. May be repeated, and ended at
/// any time: what is gone is gone, and the rest is as it was.
pub(crate) async fn collect(agent: &Agent, collection: Collection) -> Result<Collected, Error> {
    let goal = collection.until_free_bytes.map_or(Goal::Everything, Goal::Free);
    let before = measure(agent)?;
    let outcomes = match collection.mode {
        Mode::Plan => {
            let items = look_at_all(agent, goal).await?;
            plan(&items, before.free_bytes, goal)
                .into_iter()
                .map(|item| outcome(item, None))
                .collect()
        }
        Mode::Remove => remove(agent, goal, || measure(agent)).await?,
    };
    let after = measure(agent)?;
    Ok(Collected { mode: collection.mode, before, after, items: outcomes })
}

/// Removes bundles that may go from a disk of their own, the longest unused first, until so much is free there.
pub(crate) async fn collect_bundles(agent: &Agent, goal: Goal) -> Result<Collected, Error> {
    let measure = || bundle_space(&agent.config).ok_or_else(unmeasured);
    let before = measure()?;
    let _one_at_a_time = agent.collecting.lock().await;
    let items = remove_of(agent, &look_at_bundles(agent).await, goal, measure).await?;
    Ok(Collected { mode: Mode::Remove, before, after: measure()?, items })
}

async fn remove(
    agent: &Agent,
    goal: Goal,
    measure: impl Fn() -> Result<Space, Error>,
) -> Result<Vec<Outcome>, Error> {
    let _one_at_a_time = agent.collecting.lock().await;
    remove_of(agent, &look_at_all(agent, goal).await?, goal, measure).await
}

/// The disk itself says when it is enough: what an image frees is known only once it is gone.
async fn remove_of(
    agent: &Agent,
    items: &[Item],
    goal: Goal,
    measure: impl Fn() -> Result<Space, Error>,
) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    for item in items.iter().filter(|item| item.is_collectable()) {
        if goal.is_reached(measure()?.free_bytes) {
            break;
        }
        outcomes.push(outcome(item, remove_one(agent, item).await?));
    }
    Ok(outcomes)
}

/// Says why it stays after all.
async fn remove_one(agent: &Agent, item: &Item) -> Result<Option<String>, Error> {
    if item.kind == Kind::Bundle {
        let removed = agent.bundles.remove(item).await;
        // One that cannot be removed keeps nothing of the others.
        return Ok(removed.unwrap_or_else(|err| Some(err.to_string())));
    }
    let names = item.names.iter().map(|name| name.digest().clone());
    let digests: BTreeSet<Digest> = names.chain([item.digest.clone()]).collect();
    // Whoever starts it from now on waits until it is gone, and fetches it again.
    let Some(_claim) = agent.holds.claim(&digests) else {
        return Ok(Some("it is being started".to_owned()));
    };
    if let Some(reference) = claims(agent).of(&item.digest, &item.names).first() {
        return Ok(Some(reference.to_string()));
    }
    match agent.ports.containers.remove_image(&item.digest).await.map_err(Error::Engine)? {
        Removed::Gone => Ok(None),
        Removed::Stays(why) => Ok(Some(why)),
    }
}

fn outcome(item: &Item, stays: Option<String>) -> Outcome {
    Outcome {
        kind: item.kind,
        digest: item.digest.clone(),
        names: item.names.clone(),
        own_bytes: item.own_bytes,
        stays,
    }
}

#[cfg(test)]
mod tests;
