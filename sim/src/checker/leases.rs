//! I3: who owns which port, and for how long nobody may after that.

use std::time::Duration;

use common::name::LegacyName;
use common::record::node::PortLease;
use common::record::route::FrontPortLease;
use testkit::store::Committed;

use super::{Checker, Invariant, decoded};

/// How long the load balancer keeps a front port back.
const FRONT_QUARANTINE: Duration = Duration::from_mins(1);
/// A release says when it was decided, which is a slow call before it is written.
const SLACK: Duration = Duration::from_millis(2500);

/// A release that is written may have been decided so many microseconds ago, by a clock that jumped since.
const MOST_ON_ITS_WAY: u64 = 5_000_000;

/// What both kinds of leases say.
struct Lease {
    owner: LegacyName,
    released: bool,
}

fn lease(value: Option<&bytes::Bytes>, is_front: bool) -> Option<Lease> {
    if is_front {
        let lease: FrontPortLease = decoded(value)?;
        return Some(Lease { owner: lease.instance, released: lease.released_at.is_some() });
    }
    let lease: PortLease = decoded(value)?;
    Some(Lease { owner: lease.instance, released: lease.released_at.is_some() })
}

impl Checker {
    pub(super) fn check_lease(&mut self, committed: &Committed, now: u64) {
        let is_front = committed.path.as_str().contains("/ports/edge/");
        let before = lease(committed.before.as_ref(), is_front);
        let after = lease(committed.after.as_ref(), is_front);
        let path = &committed.path;
        match (&before, &after) {
            (Some(before), Some(after)) if !before.released && before.owner != after.owner => {
                let what = format!("{path} went from {} to {}", before.owner, after.owner);
                self.violate(Invariant::I3PortExclusive, what);
            }
            (Some(before), None) if !before.released => {
                let what = format!("{path} was forgotten while {} had it", before.owner);
                self.violate(Invariant::I3PortExclusive, what);
            }
            _ => {}
        }
        let quarantine = if is_front { FRONT_QUARANTINE } else { self.settings.quarantine };
        let quarantine = quarantine.saturating_sub(SLACK);
        match after {
            Some(after) if after.released => {
                let decided = now.saturating_sub(MOST_ON_ITS_WAY);
                let before_a_jump = self.jumped.is_some_and(|at| decided < at);
                if before.is_none_or(|before| !before.released) && !before_a_jump {
                    self.released.insert(path.clone(), (now, after.owner));
                }
            }
            Some(after) => {
                let Some((at, owner)) = self.released.remove(path) else { return };
                let age = Duration::from_micros(now - at);
                // Its last owner may have it back.
                if age < quarantine && owner != after.owner {
                    let what = format!(
                        "{path} went from {owner} to {} {} ms after its release",
                        after.owner,
                        age.as_millis()
                    );
                    self.violate(Invariant::I3PortExclusive, what);
                }
            }
            None => {
                let Some((at, owner)) = self.released.get(path) else { return };
                let age = Duration::from_micros(now - at);
                if age < quarantine {
                    let what = format!(
                        "{path} of {owner} was forgotten {} ms after its release",
                        age.as_millis()
                    );
                    self.violate(Invariant::I3PortExclusive, what);
                }
            }
        }
    }
}
