//! Keeps the image of every app that is served on one node more than runs it, so that it outlives its registry and any one
//! node, and on those nodes the images of the releases it may go back to. Only asks; that it fails harms nobody, and it is asked again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::records;
use common::digest::ImageRef;
use common::name::NodeName;
use common::record::deployment::Deployment;
use common::record::node::Verdict;
use common::rendezvous;

use crate::records as stored;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_secs(30);

/// What is to be on a node besides what runs there.
type Spare = (ImageRef, NodeName);

/// Runs for ever; does nothing where it is switched off.
pub(crate) async fn keep(shared: &Shared) {
    if !shared.config.spare_images {
        return std::future::pending().await;
    }
    let mut kept = BTreeSet::new();
    loop {
        tokio::time::sleep(EVERY).await;
        match wanted(shared).await {
            Ok(wanted) => {
                kept.retain(|spare| wanted.contains(spare));
                for spare in wanted {
                    if !kept.contains(&spare) && pull(shared, &spare).await {
                        kept.insert(spare);
                    }
                }
            }
            Err(err) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "spare images cannot be looked for"
                );
            }
        }
    }
}

async fn wanted(shared: &Shared) -> Result<BTreeSet<Spare>, records::Error> {
    let store = shared.ports.store.as_ref();
    let verdicts = shared.fleet.verdicts();
    let mut wanted = BTreeSet::new();
    for instance in stored::instances(store).await? {
        let found = stored::deployment(store, &instance).await?;
        wanted.extend(found.into_iter().flat_map(|found| spares(&found.record, &verdicts)));
    }
    Ok(wanted)
}

/// One at a time: the apps' own images go first, and each has a call of its own.
async fn pull(shared: &Shared, (image, node): &Spare) -> bool {
    let Some(agent) = shared.fleet.agent(node) else { return false };
    match shared.ports.nodes.pull(&agent, shared.seat.issuer(), image).await {
        Ok(()) => true,
        Err(err) => {
            tracing::debug!(error = &err as &dyn std::error::Error, %node, %image, "a spare image was not pulled");
            false
        }
    }
}

/// The image that is served on the live node without a replica that wants it most; what was in service before there too,
/// and on the nodes that have replicas now.
fn spares(deployment: &Deployment, verdicts: &BTreeMap<NodeName, Verdict>) -> Vec<Spare> {
    let Some(serving) = &deployment.serving else { return Vec::new() };
    let places = deployment.slots.iter().filter_map(|slot| slot.place.as_ref());
    let used: BTreeSet<&NodeName> = places.map(|place| &place.node).collect();
    let live = verdicts.iter().filter(|(_, verdict)| **verdict == Verdict::Live);
    let live: Vec<&NodeName> = live.map(|(node, _)| node).collect();
    let digest = serving.image.digest().as_str();
    let free = live.iter().copied().filter(|node| !used.contains(node));
    let spare = free.min_by_key(|node| Reverse(rendezvous::weight(digest, node)));
    let before = deployment.releases.iter().map(|kept| &kept.image);
    let before: BTreeSet<&ImageRef> = before.filter(|image| **image != serving.image).collect();
    let homes = live.into_iter().filter(|node| used.contains(node)).chain(spare);
    let kept = homes.flat_map(|node| before.iter().map(|image| ((*image).clone(), node.clone())));
    spare.map(|node| (serving.image.clone(), node.clone())).into_iter().chain(kept).collect()
}
