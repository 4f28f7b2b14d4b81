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
    /// The routes of which other replicas are ill than those that are left out, and those of which one was started again
    /// for it; their records say whether it is too early to follow.
    pub(crate) to_note: Vec<LegacyName>,
}

pub(crate) fn look(shared: &Shared) -> Unwell {
    let now = shared.up_for();
    let served = shared.served();
    let (served, complaints) = (served.borrow(), shared.complaints());
    let (ill, news) = (complaints.ill(now), complaints.news(now));
    if ill.is_empty() && news.is_empty() && served.left_out.is_empty() {
        return Unwell::default();
    }
    let mut found = Unwell { is_any: true, ..Unwell::default() };
    let is_concerned = |row: &&TableRoute| {
        let is_one = |address| ill.contains(&address) || news.contains(&address);
        !served.left_out_of(&row.instance).is_empty()
            || row.upstreams.iter().any(|one| is_one(one.address()))
    };
    for row in served.routes.values().filter(is_concerned) {
        let out = served.left_out_of(&row.instance);
        let upstreams: Vec<Upstream> = row.upstreams.iter().chain(out).cloned().collect();
        let mut before: Vec<_> = out.iter().map(Upstream::address).collect();
        before.sort_unstable();
        let is_news = upstreams.iter().any(|one| news.contains(&one.address()));
        if is_news || complaints.left_out(&upstreams, &before, Pace::Free, now) != before {
            found.to_note.push(row.instance.clone());
        }
        if !out.is_empty() || upstreams.iter().any(|one| ill.contains(&one.address())) {
            found.routes.insert(row.instance.clone());
        }
    }
    found
}
