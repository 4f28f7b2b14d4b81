//! What to do about one container that should run.

use std::fmt;
use std::time::Duration;

use common::port::container::ContainerState;

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

/// What there is: the hash of the specification that it was made from, and its state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) spec_hash: &'a str,
    pub(crate) state: &'a ContainerState,
}

/// `wanted` is the hash of what was told. `history` knows the exit already, if `found` has one.
pub(crate) fn next_step(
    wanted: &str,
    found: Option<Found<'_>>,
    history: &History,
    now: Duration,
) -> Step {
    let Some(found) = found else { return Step::Make };
    if found.spec_hash != wanted {
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
    use jiff::Timestamp;

    use super::*;
    use crate::domain::restart::Exit;

    fn step(found: Option<(&str, &ContainerState)>, history: &History, now: u64) -> String {
        let found = found.map(|(spec_hash, state)| Found { spec_hash, state });
        next_step("told", found, history, Duration::from_secs(now)).to_string()
    }

    #[test]
    fn what_is_missing_is_made_and_what_runs_is_kept() {
        let history = History::default();
        let running = ContainerState::Running { since: Timestamp::UNIX_EPOCH };
        assert_eq!(step(None, &history, 0), "make it");
        assert_eq!(step(Some(("told", &running)), &history, 0), "keep it");
        assert_eq!(step(Some(("told", &ContainerState::Created)), &history, 0), "make it");
        assert_eq!(step(Some(("other", &running)), &history, 0), "make it");
    }

    #[test]
    fn what_ended_is_started_again_when_it_is_due() {
        let mut history = History::default();
        let mut last = ContainerState::Created;
        for second in 0..2 {
            let at = Timestamp::from_second(second).unwrap();
            last = ContainerState::Exited { code: 1, out_of_memory: false, at };
            history.ended(Exit::of(&last).unwrap(), Duration::from_secs(10));
        }
        assert_eq!(step(Some(("told", &last)), &history, 10), "start it again in 1s");
        assert_eq!(step(Some(("told", &last)), &history, 11), "start it again");
    }
}
