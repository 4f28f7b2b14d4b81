//! One look for each balance cycle at what is ill: which routes have ill replicas, and of which of them others get no
//! requests than should.

use std::collections::BTreeSet;

use common::name::LegacyName;
use common::port::edge::{TableRoute, Upstream};

use crate::domain::illness::Pace;
use crate::shared::Shared;

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct Unwell {
    /// Whether some replica is ill, whoever it belongs to, or left out.
    pub(crate) is_any: bool,
    /// The routes of which replicas are ill, left out or not.
    pub(crate) routes: BTreeSet<LegacyName>,
    /// The routes of which other replicas are ill than those that are left out; their records say whether it is too early
    /// to follow.
    pub(crate) to_leave_out: Vec<LegacyName>,
}

pub(crate) fn look(shared: &Shared) -> Unwell {
    let now = shared.up_for();
    let served = shared.served();
    let (served, complaints) = (served.borrow(), shared.complaints());
    let ill = complaints.ill(now);
    if ill.is_empty() && served.left_out.is_empty() {
        return Unwell::default();
    }
    let mut found = Unwell { is_any: true, ..Unwell::default() };
    let is_concerned = |row: &&TableRoute| {
        !served.left_out_of(&row.instance).is_empty()
            || row.upstreams.iter().any(|one| ill.contains(&one.address()))
    };
    for row in served.routes.values().filter(is_concerned) {
        let out = served.left_out_of(&row.instance);
        let upstreams: Vec<Upstream> = row.upstreams.iter().chain(out).cloned().collect();
        let mut before: Vec<_> = out.iter().map(Upstream::address).collect();
        before.sort_unstable();
        if complaints.left_out(&upstreams, &before, Pace::Free, now) != before {
            found.to_leave_out.push(row.instance.clone());
        }
        found.routes.insert(row.instance.clone());
    }
    found
}
