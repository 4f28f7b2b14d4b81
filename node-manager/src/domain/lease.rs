//! What becomes of a leased host port: kept, released, given back; and which one is next.

use std::collections::BTreeSet;
use std::time::Duration;

use common::record::node::PortLease;
use jiff::{SignedDuration, Timestamp};

/// A lease younger than this is kept even if nobody claims it: the deployment manager claims before it
/// asks, but its record may be read late, and others who ask by hand claim nothing.
const YOUNG: SignedDuration = SignedDuration::from_secs(10);

/// What is known of a leased port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    /// Whether a slot of the deployment, or a request under way, holds this lease.
    pub(crate) claimed: bool,
    /// Whether the node says that a container of ours is on the port; none if it does not speak.
    pub(crate) occupied: Option<bool>,
}

/// What to do with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Keep,
    /// Its container's absence is confirmed: the quarantine begins.
    Release,
    /// Something is on the port after all: the quarantine begins anew once it is gone.
    Hold,
    /// The quarantine is over.
    Forget,
}

pub(crate) fn next_step(
    lease: &PortLease,
    observed: Observed,
    now: Timestamp,
    quarantine: Duration,
) -> Step {
    let age = |since: Timestamp| now.duration_since(since);
    let gone = !observed.claimed && observed.occupied == Some(false);
    let quarantine = SignedDuration::try_from(quarantine).unwrap_or(SignedDuration::MAX);
    match lease.released_at {
        None if gone && age(lease.leased_at) >= YOUNG => Step::Release,
        Some(_) if observed.occupied == Some(true) => Step::Hold,
        Some(released_at) if gone && age(released_at) >= quarantine => Step::Forget,
        None | Some(_) => Step::Keep,
    }
}

/// The lowest port of the range that is neither leased nor in use.
pub(crate) fn next_port(first: u16, last: u16, taken: &BTreeSet<u16>) -> Option<u16> {
    (first..=last).find(|port| !taken.contains(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARANTINE: Duration = Duration::from_mins(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn lease(released_at: Option<i64>) -> PortLease {
        PortLease {
            schema: 1,
            instance: "shop".parse().unwrap(),
            request: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap(),
            leased_at: at(0),
            released_at: released_at.map(at),
        }
    }

    fn step(released_at: Option<i64>, claimed: bool, occupied: Option<bool>, now: i64) -> Step {
        next_step(&lease(released_at), Observed { claimed, occupied }, at(now), QUARANTINE)
    }

    #[test]
    fn a_lease_is_released_when_nobody_claims_it_and_the_node_says_it_is_gone() {
        assert_eq!(step(None, false, Some(false), 10), Step::Release);
        assert_eq!(step(None, false, Some(false), 9), Step::Keep);
        assert_eq!(step(None, true, Some(false), 600), Step::Keep);
        assert_eq!(step(None, false, Some(true), 600), Step::Keep);
        assert_eq!(step(None, false, None, 600), Step::Keep);
    }

    #[test]
    fn a_released_lease_is_forgotten_after_its_quarantine() {
        assert_eq!(step(Some(100), false, Some(false), 159), Step::Keep);
        assert_eq!(step(Some(100), false, Some(false), 160), Step::Forget);
        assert_eq!(step(Some(100), false, None, 600), Step::Keep);
        assert_eq!(step(Some(100), false, Some(true), 110), Step::Hold);
    }

    #[test]
    fn a_clock_that_jumps_back_releases_nothing_early() {
        assert_eq!(step(None, false, Some(false), -3600), Step::Keep);
        assert_eq!(step(Some(100), false, Some(false), -3600), Step::Keep);
    }

    #[test]
    fn the_lowest_free_port_is_next() {
        let taken = BTreeSet::from([20_000, 20_001, 20_003]);
        assert_eq!(next_port(20_000, 20_003, &taken), Some(20_002));
        assert_eq!(next_port(20_000, 20_001, &taken), None);
        assert_eq!(next_port(u16::MAX, u16::MAX, &taken), Some(u16::MAX));
    }
}
