//! What becomes of a deployment's image, and of the replicas that wait for it.

use common::digest::ImageRef;
use common::id::RequestId;
use common::record::deployment::{Deployment, Slot, SlotState};
use jiff::Timestamp;

use super::placement::{self, Turn};
use super::replicas::can_be_rebuilt;

/// Only from now on can replicas be waiting for it. Where the image before it was missing says nothing of this one: their
/// nodes are given the time that every image is given, and the placements stay as they are.
pub(super) fn built(deployment: &mut Deployment, image: &ImageRef, now: Timestamp) {
    deployment.image = Some(image.clone());
    let generation = deployment.generation;
    let waits = |slot: &&mut Slot| slot.generation == generation && slot.state <= SlotState::Placed;
    for slot in deployment.slots.iter_mut().filter(waits) {
        slot.attempt = slot.attempt.saturating_sub(slot.images_missing);
        slot.images_missing = 0;
        if slot.state == SlotState::Placed {
            slot.since = now;
        }
    }
}

/// Nobody has it any more: it is to be built again.
pub(super) fn lost(deployment: &mut Deployment, image: &ImageRef) {
    if can_be_rebuilt(deployment) && deployment.image.as_ref() == Some(image) {
        deployment.image = None;
    }
}

/// It takes nothing from the placements that another failure may need.
pub(super) fn missing(deployment: &mut Deployment, placement: RequestId, now: Timestamp) {
    let asked_for = |slot: &&mut Slot| slot.placement_request == placement;
    if let Some(slot) = deployment.slots.iter_mut().find(asked_for) {
        slot.images_missing += 1;
    }
    placement::ask_elsewhere(deployment, placement, Turn::Now, now);
}
