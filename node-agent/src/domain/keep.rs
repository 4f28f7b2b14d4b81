//! What to do about one container that should run.

use std::fmt;
use std::time::Duration;

use common::port::container::{Container, ContainerSpec, ContainerState};

use super::restart::History;

/// One step towards what was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is there and runs.
    Keep,
    /// It is not there, or is another one.
    Make,
    /// It ended.
    Restart,
    /// It ended, and is not due yet.
    Wait(Duration),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Keep => f.write_str("keep it"),
            Step::Make => f.write_str("make it"),
            Step::Restart => f.write_str("start it again"),
            Step::Wait(wait) => write!(f, "start it again in {wait:?}"),
        }
    }
}

/// `history` knows the exit already, if `found` has one.
pub(crate) fn next_step(
    wanted: &ContainerSpec,
    found: Option<&Container>,
    history: &History,
    now: Duration,
) -> Step {
    let Some(found) = found else { return Step::Make };
    if found.spec_hash != wanted.hash() {
        return Step::Make;
    }
    match found.state {
        ContainerState::Running { .. } => Step::Keep,
        ContainerState::Created => Step::Make,
        ContainerState::Exited { .. } => match history.restart_at().saturating_sub(now) {
            Duration::ZERO => Step::Restart,
            wait => Step::Wait(wait),
        },
    }
}

#[cfg(test)]
mod tests {
    use common::digest::{Digest, ImageRef};
    use common::id::{Epoch, Generation, SlotNumber};
    use common::port::container::Limits;
    use jiff::Timestamp;

    use super::*;
    use crate::domain::restart::Exit;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(1),
            generation: Generation(1),
            image: ImageRef::new("apps/shop", Digest::of(b"")).unwrap(),
            container_port: 8080,
            host_port: 20000,
            environment: [].into(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        }
    }

    fn container(state: ContainerState) -> Container {
        let spec = spec();
        Container {
            name: spec.name(),
            id: "1".to_owned(),
            instance: spec.instance.clone(),
            slot: spec.slot,
            generation: spec.generation,
            image: spec.image.clone(),
            epoch: Epoch(1),
            host_port: spec.host_port,
            spec_hash: spec.hash(),
            state,
        }
    }

    fn step(found: Option<&Container>, history: &History, now: u64) -> String {
        next_step(&spec(), found, history, Duration::from_secs(now)).to_string()
    }

    #[test]
    fn what_is_missing_is_made_and_what_runs_is_kept() {
        let history = History::default();
        let running = container(ContainerState::Running { since: Timestamp::UNIX_EPOCH });
        assert_eq!(step(None, &history, 0), "make it");
        assert_eq!(step(Some(&running), &history, 0), "keep it");
        assert_eq!(step(Some(&container(ContainerState::Created)), &history, 0), "make it");
        let other = Container { spec_hash: "other".to_owned(), ..running };
        assert_eq!(step(Some(&other), &history, 0), "make it");
    }

    #[test]
    fn what_ended_is_started_again_when_it_is_due() {
        let mut history = History::default();
        let mut last = container(ContainerState::Created);
        for second in 0..2 {
            let at = Timestamp::from_second(second).unwrap();
            let state = ContainerState::Exited { code: 1, out_of_memory: false, at };
            history.ended(Exit::of(&state).unwrap(), Duration::from_secs(10));
            last = container(state);
        }
        assert_eq!(step(Some(&last), &history, 10), "start it again in 1s");
        assert_eq!(step(Some(&last), &history, 11), "start it again");
    }
}
