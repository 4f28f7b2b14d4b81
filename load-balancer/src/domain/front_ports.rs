//! Which front port an instance gets.

use std::collections::BTreeMap;

use common::name::LegacyName;
use common::record::route::FrontPortLease;
use jiff::{SignedDuration, Timestamp};

/// How long a released port is kept back, so that old clients of an app do not reach another.
pub(crate) const QUARANTINE: SignedDuration = SignedDuration::from_secs(60);

/// The port for `instance`: the one it has or had last, while it is still kept for it; else the
/// lowest free one. None if no port of `open` is free.
pub(crate) fn choose(
    leases: &BTreeMap<u16, FrontPortLease>,
    open: impl IntoIterator<Item = u16>,
    instance: &LegacyName,
    now: Timestamp,
) -> Option<u16> {
    let open: Vec<u16> = open.into_iter().collect();
    let own = |port: &&u16| leases.get(port).is_some_and(|lease| lease.instance == *instance);
    open.iter().find(own).copied().or_else(|| next(leases, open, now))
}

/// The port that an instance without one would get now.
pub(crate) fn next(
    leases: &BTreeMap<u16, FrontPortLease>,
    open: impl IntoIterator<Item = u16>,
    now: Timestamp,
) -> Option<u16> {
    open.into_iter().find(|port| leases.get(port).is_none_or(|lease| is_over(lease, now)))
}

/// Whether a lease has been released and kept back for long enough.
pub(crate) fn is_over(lease: &FrontPortLease, now: Timestamp) -> bool {
    lease.released_at.is_some_and(|at| now.duration_since(at) >= QUARANTINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn lease(instance: &str, released: Option<i64>) -> FrontPortLease {
        let released_at = released.map(|seconds| NOW - SignedDuration::from_secs(seconds));
        FrontPortLease { schema: 1, instance: instance.parse().unwrap(), released_at }
    }

    fn choice(leases: &[(u16, FrontPortLease)], open: &[u16], instance: &str) -> Option<u16> {
        let leases = leases.iter().cloned().collect();
        choose(&leases, open.iter().copied(), &instance.parse().unwrap(), NOW)
    }

    #[test]
    fn the_lowest_free_open_port_is_taken() {
        let leases = [(2000, lease("a", None)), (2002, lease("b", None))];
        assert_eq!(choice(&leases, &[2000, 2001, 2002, 2003], "c"), Some(2001));
        assert_eq!(choice(&leases, &[2000, 2002, 2003], "c"), Some(2003));
        assert_eq!(choice(&leases, &[2000, 2002], "c"), None);
    }

    #[test]
    fn a_released_port_is_kept_back_for_a_minute() {
        assert_eq!(choice(&[(2000, lease("a", Some(59)))], &[2000, 2001], "b"), Some(2001));
        assert_eq!(choice(&[(2000, lease("a", Some(60)))], &[2000, 2001], "b"), Some(2000));
    }

    #[test]
    fn an_instance_gets_its_own_port_back() {
        let leases = [(2001, lease("a", Some(5)))];
        assert_eq!(choice(&leases, &[2000, 2001], "a"), Some(2001));
        assert_eq!(choice(&leases, &[2000], "a"), Some(2000));
    }
}
