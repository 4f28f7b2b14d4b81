//! What is known of an app whose number of replicas follows its load: read from records, no measurements.

use common::id::Generation;
use common::name::{ContainerName, InstanceName, NodeName};
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};
use common::record::scale::{Decision, Scale, Scaling};
use jiff::Timestamp;

use super::hours::Because;

/// A replica that the edge serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Replica {
    pub(crate) container: ContainerName,
    pub(crate) node: NodeName,
    pub(crate) generation: Generation,
}

/// An app within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// As it holds now.
    pub(crate) scaling: Scaling,
    pub(crate) because: Because,
    pub(crate) wanted: u32,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) way: Way,
    /// When the last replica of those that are served began to serve; and the first of them.
    pub(crate) newest: Option<Timestamp>,
    pub(crate) oldest: Option<Timestamp>,
    /// The newest last.
    pub(crate) decisions: Vec<Decision>,
}

/// Whether what was wanted before is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As many replicas are served as are wanted, and no others are left.
    Reached,
    /// Fewer are served than are wanted, and nothing else is under way.
    Missing,
    /// A release, a stop, or a number that somebody asked for is under way.
    Moving,
}

/// Whether somebody waits for a number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Pending,
    Nobody,
}

/// How many replicas are wanted: what was decided, which may be none, else what is pinned, else one.
pub(crate) fn wanted(scale: Option<&Scale>, pinned: Option<u32>, most: u32) -> u32 {
    let decided = scale.map(|scale| scale.replicas.min(most));
    decided.unwrap_or_else(|| pinned.unwrap_or(1).clamp(1, most))
}

/// None where nothing is to be decided: it is not deployed, or is no name that a container could have.
pub(crate) fn known(
    deployment: &Deployment,
    (scaling, because): (Scaling, Because),
    scale: Option<&Scale>,
    wanted: u32,
    asked: Asked,
) -> Option<Known> {
    let instance: InstanceName = deployment.instance.as_str().parse().ok()?;
    let serving = deployment.serving.as_ref().filter(|_| deployment.goal == Goal::Running)?;
    let is_served =
        |slot: &&Slot| slot.state == SlotState::Routed && slot.generation == serving.generation;
    let served: Vec<&Slot> = deployment.slots.iter().filter(is_served).collect();
    let replicas = served.iter().filter_map(|slot| {
        Some(Replica {
            container: ContainerName::new(&instance, slot.number),
            node: slot.place.as_ref()?.node.clone(),
            generation: slot.generation,
        })
    });
    let leaves = |slot: &Slot| matches!(slot.state, SlotState::Leaving | SlotState::Drained);
    let is_at_rest = matches!(deployment.state, State::Running | State::Failed);
    let count = u32::try_from(served.len()).unwrap_or(u32::MAX);
    let way = if asked == Asked::Pending || !is_at_rest || count > wanted {
        Way::Moving
    } else if count < wanted {
        Way::Missing
    } else if deployment.slots.iter().any(leaves) {
        Way::Moving
    } else {
        Way::Reached
    };
    Some(Known {
        scaling,
        because,
        wanted,
        replicas: replicas.collect(),
        way,
        newest: served.iter().map(|slot| slot.since).max(),
        oldest: served.iter().map(|slot| slot.since).min(),
        decisions: scale.map(|scale| scale.decisions.clone()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(state: State, slots: &[(u32, SlotState)]) -> Deployment {
        let slot = |(number, state): &(u32, SlotState)| {
            json!({
                "number": number,
                "generation": 2,
                "placement_request": uuid::Uuid::nil(),
                "state": state,
                "since": format!("2026-01-01T00:00:0{number}Z"),
                "place": { "node": "node-1", "ip": "192.0.2.1", "host_port": 20_000 + number },
            })
        };
        let record = json!({
            "schema": 1,
            "instance": "shop",
            "app": "shop",
            "release": 1,
            "generation": 2,
            "goal": Goal::Running,
            "state": state,
            "request": uuid::Uuid::nil(),
            "deadline": "2026-01-01T00:00:00Z",
            "serving": {
                "generation": 2,
                "release": 1,
                "image": format!("registry.example.org/apps/shop@sha256:{:064}", 1),
            },
            "slots": slots.iter().map(slot).collect::<Vec<_>>(),
            "updated_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(record).unwrap()
    }

    fn way(state: State, slots: &[(u32, SlotState)], wanted: u32, asked: Asked) -> Way {
        let scaling = (Scaling::within(1, 5), Because::default());
        known(&deployment(state, slots), scaling, None, wanted, asked).unwrap().way
    }

    #[test]
    fn what_was_wanted_is_reached_missing_or_under_way() {
        use SlotState::{Drained, Leaving, Routed, Started};
        use State::{Failed, Running, Starting, Undoing};
        let two = [(1, Routed), (2, Routed)];
        for (state, slots, wanted, asked, expected) in [
            (Running, two.as_slice(), 2, Asked::Nobody, Way::Reached),
            (Failed, &two, 2, Asked::Nobody, Way::Reached),
            (Running, &two, 2, Asked::Pending, Way::Moving),
            (Starting, &two, 2, Asked::Nobody, Way::Moving),
            (Undoing, &two, 2, Asked::Nobody, Way::Moving),
            (Running, &two, 1, Asked::Nobody, Way::Moving),
            (Running, &[(1, Routed), (2, Leaving)], 1, Asked::Nobody, Way::Moving),
            (Running, &[(1, Routed), (2, Drained)], 1, Asked::Nobody, Way::Moving),
            (Running, &[(1, Routed), (2, Started)], 2, Asked::Nobody, Way::Missing),
            (Running, &two, 3, Asked::Nobody, Way::Missing),
        ] {
            let found = way(state, slots, wanted, asked);
            assert_eq!(found, expected, "{state:?} {slots:?} {wanted} {asked:?}");
        }
    }

    #[test]
    fn the_replicas_are_those_that_the_edge_serves() {
        let slots = [(1, SlotState::Routed), (2, SlotState::Ready), (3, SlotState::Routed)];
        let deployment = deployment(State::Running, &slots);
        let known =
            known(&deployment, (Scaling::within(1, 5), Because::default()), None, 3, Asked::Nobody)
                .unwrap();
        let names: Vec<&str> =
            known.replicas.iter().map(|replica| replica.container.as_str()).collect();
        assert_eq!(names, ["shop_instance_1", "shop_instance_3"]);
        assert_eq!(known.oldest.unwrap().to_string(), "2026-01-01T00:00:01Z");
        assert_eq!(known.newest.unwrap().to_string(), "2026-01-01T00:00:03Z");
    }

    #[test]
    fn what_is_not_served_or_to_be_stopped_is_not_balanced() {
        let mut stopped = deployment(State::Stopping, &[(1, SlotState::Routed)]);
        stopped.goal = Goal::Stopped;
        let mut first = deployment(State::Starting, &[(1, SlotState::Started)]);
        first.serving = None;
        for deployment in [stopped, first] {
            assert_eq!(
                known(
                    &deployment,
                    (Scaling::within(1, 5), Because::default()),
                    None,
                    1,
                    Asked::Nobody
                ),
                None
            );
        }
    }

    #[test]
    fn the_number_is_what_was_decided_else_what_is_pinned_else_one() {
        assert_eq!(wanted(None, None, 20), 1);
        assert_eq!(wanted(None, Some(3), 20), 3);
        assert_eq!(wanted(None, Some(30), 20), 20);
    }
}
