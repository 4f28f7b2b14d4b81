//! What steps and answers do to the record: total functions that may be applied again.
//!
//! Replicas are named by the request under which they were placed: what was learned of a placement
//! that has been given up in the meantime changes nothing.

use std::collections::BTreeSet;

use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::id::{Generation, RequestId};
use common::name::NodeName;
use common::record::deployment::{Deployment, Place, Slot, SlotState, State};
use jiff::Timestamp;

use super::patience::Patience;
use super::placement::{self, Turn};
use super::replicas::{is_advancing, is_canary, may_be_routed};
use super::{course, images, moving};

/// Why a request whose deadline passed failed, if nothing is known to have stood in its way.
pub(crate) const TOO_LATE: &str = "it was not done by its deadline";

/// One change of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Asked {
        generation: Generation,
        count: usize,
    },
    AskedAgain {
        slot: RequestId,
    },
    Placed {
        slot: RequestId,
        place: Place,
    },
    Built {
        image: ImageRef,
    },
    /// This image is no longer anywhere: it is built again.
    Lost {
        image: ImageRef,
    },
    Started {
        slot: RequestId,
        container_id: String,
    },
    Ready {
        slot: RequestId,
    },
    /// It was not placed, did not start, or did not answer.
    Unfit {
        slot: RequestId,
        failure: Failure,
    },
    /// Its node cannot have the image: another one may have it.
    ImageMissing {
        slot: RequestId,
    },
    /// The edge serves these and no others; of those, `waiting` ones are kept.
    Routed {
        slots: Vec<RequestId>,
        waiting: Vec<RequestId>,
        endpoint: String,
    },
    Unrouted {
        waiting: Vec<RequestId>,
    },
    /// These are to go, and are never wanted again.
    Withdrawn {
        slots: Vec<RequestId>,
    },
    Removed {
        slots: Vec<RequestId>,
    },
    /// A missing container runs again; it must be told to the edge.
    Restored {
        slot: RequestId,
        container_id: String,
    },
    /// Document 001's registry is to say again who is served.
    Registered,
    /// It is served, but cannot stay.
    Condemned {
        slot: RequestId,
        failure: Failure,
    },
    /// A replica is to be brought to one of these nodes.
    Moving {
        replica: RequestId,
        to: BTreeSet<NodeName>,
        reason: String,
    },
    /// It serves from there: the one before is to go.
    Moved,
    /// It stays where it is.
    NotMoved {
        reason: String,
    },
    /// What stands in the way for now.
    Hindered {
        failure: Failure,
    },
    GivenUp {
        failure: Failure,
    },
    /// What was watched was seen to fail, and goes.
    BackedOut {
        failure: Failure,
    },
    Running,
    Failed,
    Stopped,
    Buried,
}

/// Notes changes; what they make owed is added.
pub(crate) fn note(
    deployment: &mut Deployment,
    changes: &[Change],
    patience: &Patience,
    now: Timestamp,
) {
    for change in changes {
        if is_advancing(deployment) {
            // Whatever stood in the way does so no longer.
            deployment.failure = None;
        }
        note_one(deployment, change, patience, now);
        advance(deployment);
    }
    deployment.updated_at = now;
}

fn note_one(deployment: &mut Deployment, change: &Change, patience: &Patience, now: Timestamp) {
    match change {
        Change::Asked { generation, count } => {
            placement::ask(deployment, *generation, *count, now);
        }
        Change::AskedAgain { slot } => placement::repeat(deployment, *slot, now),
        Change::Placed { slot, place } => on(deployment, *slot, SlotState::Asked, |slot| {
            slot.place = Some(place.clone());
            enter(slot, SlotState::Placed, now);
        }),
        Change::Built { image } => images::built(deployment, image, now),
        Change::Lost { image } => images::lost(deployment, image),
        Change::Started { slot, container_id } => {
            on(deployment, *slot, SlotState::Placed, |slot| {
                slot.container_id = Some(container_id.clone());
                enter(slot, SlotState::Started, now);
            });
        }
        Change::Ready { slot } => on(deployment, *slot, SlotState::Started, |slot| {
            enter(slot, SlotState::Ready, now);
        }),
        Change::Unfit { slot, failure } => unfit(deployment, *slot, failure, patience, now),
        Change::ImageMissing { slot } => images::missing(deployment, *slot, now),
        Change::Routed { slots, waiting, endpoint } => {
            switch(deployment, slots, waiting, now);
            course::told(deployment, slots);
            routed(deployment, endpoint);
        }
        Change::Unrouted { waiting } => {
            switch(deployment, &[], waiting, now);
            deployment.serving = None;
            deployment.endpoint = None;
        }
        Change::Withdrawn { slots } => withdraw(deployment, slots, now),
        Change::Removed { slots } => {
            deployment.slots.retain(|slot| !slots.contains(&slot.placement_request));
            forget_want_of_room(deployment);
        }
        Change::Restored { slot, container_id } => {
            on(deployment, *slot, SlotState::Routed, |slot| {
                slot.container_id = Some(container_id.clone());
                enter(slot, SlotState::Ready, now);
            });
        }
        Change::Condemned { slot, failure } => {
            on(deployment, *slot, SlotState::Routed, |slot| enter(slot, SlotState::Leaving, now));
            deployment.failure = Some(failure.clone());
        }
        Change::Moving { .. } | Change::Moved | Change::NotMoved { .. } => {
            moving::note(deployment, change, patience, now);
        }
        Change::Hindered { failure } => deployment.failure = Some(failure.clone()),
        Change::GivenUp { failure } => give_up(deployment, failure, patience, now),
        Change::BackedOut { failure } => undo(deployment, failure, patience, now),
        Change::Registered => {}
        Change::Running => running(deployment, now),
        Change::Failed => failed(deployment),
        Change::Stopped => deployment.state = State::Stopped,
        Change::Buried => deployment.state = State::Removed,
    }
}

fn failed(deployment: &mut Deployment) {
    let late = || Failure::new(FailureCode::DeadlineExceeded, TOO_LATE);
    deployment.failure.get_or_insert_with(late);
    deployment.state = State::Failed;
}

fn on(
    deployment: &mut Deployment,
    placement: RequestId,
    state: SlotState,
    change: impl FnOnce(&mut Slot),
) {
    let found = |slot: &&mut Slot| slot.placement_request == placement && slot.state == state;
    if let Some(slot) = deployment.slots.iter_mut().find(found) {
        change(slot);
    }
}

fn enter(slot: &mut Slot, state: SlotState, now: Timestamp) {
    slot.state = state;
    slot.since = now;
}

/// A replica that can be placed better is; else a deploy fails with it, and what is served tries
/// again later, but for another port, which it tries at once.
fn unfit(
    deployment: &mut Deployment,
    placement: RequestId,
    failure: &Failure,
    patience: &Patience,
    now: Timestamp,
) {
    let waits = |slot: &&Slot| slot.placement_request == placement && slot.state < SlotState::Ready;
    let Some(slot) = deployment.slots.iter().find(waits) else { return };
    if deployment.moving.as_ref().is_some_and(|one| one.new == placement) {
        moving::forget(deployment, &failure.to_string(), now);
        // What was started of it is gone already.
        return withdraw(deployment, &[placement], now);
    }
    let rising = deployment.rising();
    let of_deploy =
        is_advancing(deployment) && slot.generation == rising && !deployment.serves(rising);
    let (tries, most) =
        (slot.attempt.saturating_sub(slot.images_missing), new_placements(failure.code));
    let is_tried_again = tries < most;
    if !of_deploy {
        // It has waited before, maybe for a node: each wait begins the count anew.
        let at_once = failure.code == FailureCode::PortTaken && tries % (most + 1) < most;
        let turn = if at_once { Turn::Now } else { Turn::Later };
        placement::ask_elsewhere(deployment, placement, turn, now);
        if deployment.state == State::Running {
            deployment.failure = Some(failure.clone());
        }
    } else if is_tried_again {
        placement::ask_elsewhere(deployment, placement, Turn::Now, now);
    } else {
        give_up(deployment, failure, patience, now);
        if deployment.canary.is_some() {
            placement::ask_elsewhere(deployment, placement, Turn::Later, now);
        }
    }
}

/// How often a replica of a deploy is placed anew after this failure. Ports may be held one next to the other, as by what is
/// not there. A lease of one that was refused is soon given up: who waits meets the same ones again.
fn new_placements(code: FailureCode) -> u32 {
    if code == FailureCode::PortTaken {
        8
    } else if matches!(code, FailureCode::NodeUnavailable | FailureCode::InsufficientStorage) {
        2
    } else {
        0
    }
}

/// What was asked for cannot be: of a canary that does well only that is undone.
fn give_up(deployment: &mut Deployment, failure: &Failure, patience: &Patience, now: Timestamp) {
    if !is_advancing(deployment) {
        return;
    }
    if course::go_back(deployment, failure, now) {
        deployment.state = State::Undoing;
        deployment.failure = Some(failure.clone());
        deployment.deadline = now + patience.undo;
    } else {
        undo(deployment, failure, patience, now);
    }
}

/// All of what is on its way goes, or a canary that has got its share.
fn undo(deployment: &mut Deployment, failure: &Failure, patience: &Patience, now: Timestamp) {
    if !is_advancing(deployment) {
        return course::drop_canary(deployment, failure, now);
    }
    let rising = deployment.rising();
    let is_own = |slot: &&Slot| slot.generation == rising && !deployment.serves(rising);
    let own = deployment.slots.iter().filter(is_own);
    let got_requests = own.clone().any(|slot| slot.state == SlotState::Routed);
    deployment.taken = own.filter_map(Slot::replica).collect();
    if got_requests {
        course::backed_out(deployment, failure, now);
    }
    deployment.canary = None;
    deployment.state = State::Undoing;
    deployment.failure = Some(failure.clone());
    deployment.deadline = now + patience.undo;
}

fn routed(deployment: &mut Deployment, endpoint: &str) {
    deployment.endpoint = Some(endpoint.to_owned());
    let reported = deployment.failure.as_ref().map(|failure| failure.code);
    let stays = course::has_gone_back(deployment) || reported == Some(FailureCode::CrashLoop);
    if deployment.state == State::Running && !stays {
        deployment.failure = None;
    }
}

/// The edge serves these and no others: whoever else could be served waits or is to go.
fn switch(
    deployment: &mut Deployment,
    served: &[RequestId],
    waiting: &[RequestId],
    now: Timestamp,
) {
    for slot in deployment.slots.iter_mut().filter(|slot| may_be_routed(slot)) {
        let state = if served.contains(&slot.placement_request) {
            SlotState::Routed
        } else if waiting.contains(&slot.placement_request) {
            SlotState::Ready
        } else {
            SlotState::Drained
        };
        if state != slot.state {
            enter(slot, state, now);
        }
    }
}

/// Whoever may get requests is drained first.
fn withdraw(deployment: &mut Deployment, slots: &[RequestId], now: Timestamp) {
    let goes =
        |slot: &&mut Slot| slots.contains(&slot.placement_request) && slot.state < SlotState::Ready;
    for slot in deployment.slots.iter_mut().filter(goes) {
        enter(slot, SlotState::Drained, now);
    }
}

/// That there was no place stands in nobody's way where nothing waits for one any more, as after a node was returned.
fn forget_want_of_room(deployment: &mut Deployment) {
    let waits = deployment.slots.iter().any(|slot| slot.state == SlotState::Asked);
    let is_want = |failure: &mut Failure| {
        let Failure { code, .. } = failure;
        matches!(
            code,
            FailureCode::NoNodeFits
                | FailureCode::PortsExhausted
                | FailureCode::InsufficientStorage
        )
    };
    if deployment.state == State::Running && !waits {
        deployment.failure.take_if(is_want);
    }
}

/// The newest generation is served, and the edge was told nothing else.
fn running(deployment: &mut Deployment, now: Timestamp) {
    if deployment.image.is_none() {
        return;
    }
    deployment.failure = None;
    deployment.state = State::Running;
    if is_canary(deployment) {
        return course::shares(deployment, now);
    }
    course::take_over(deployment, now);
}

/// The state follows the replicas, and never goes back.
pub(super) fn advance(deployment: &mut Deployment) {
    if !is_advancing(deployment) {
        return;
    }
    let rising = deployment.rising();
    let newest = || deployment.slots.iter().filter(|slot| slot.generation == rising);
    let least = newest().map(|slot| slot.state).min();
    let reached = match least {
        None => State::Accepted,
        Some(SlotState::Asked) => State::Placing,
        Some(_) if deployment.image.is_none() => State::Building,
        Some(SlotState::Placed | SlotState::Started) => State::Starting,
        Some(SlotState::Ready | SlotState::Routed | SlotState::Leaving | SlotState::Drained) => {
            State::Routing
        }
    };
    deployment.state = deployment.state.max(reached);
}
