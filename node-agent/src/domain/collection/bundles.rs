//! Which bundles may go: pure. What somebody refers to never does, nor what was used a while ago, nor what nobody has
//! spoken of.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::Digest;
use common::port::blobs::StoredBlob;
use common::port::disk::{Item, Kind, Need, Needs, Reference};
use jiff::{SignedDuration, Timestamp};

/// So long it counts what was said of bundles: who says it does so every few minutes.
pub(crate) const SAID_FOR: SignedDuration = SignedDuration::from_mins(15);

/// What is known of the bundles of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// What was said last.
    pub(crate) said: Option<Needs>,
    /// Nothing was said yet, as this process began a moment ago.
    pub(crate) is_new: bool,
    /// Digests that were used since this process began, a moment ago.
    pub(crate) recent: BTreeSet<Digest>,
    /// So long a bundle stays that was used: what it was put for may not be written yet.
    pub(crate) grace: SignedDuration,
    pub(crate) now: Timestamp,
}

/// The bundles with everybody who refers to them, the longest unused first.
pub(crate) fn items(stored: Vec<StoredBlob>, facts: &Facts) -> Vec<Item> {
    let said = facts.said.as_ref().filter(|said| facts.counts(said));
    let needs: BTreeMap<&Digest, &Need> =
        said.iter().flat_map(|said| &said.bundles).map(|need| (&need.digest, need)).collect();
    let item = |blob: StoredBlob| {
        let mut references = match (said, needs.get(&blob.digest)) {
            (Some(said), Some(need)) if !need.by.is_empty() || facts.was_of_age(&blob, said.at) => {
                let pinned = |by: &String| Reference::Pinned { by: by.clone() };
                need.by.iter().map(pinned).collect()
            }
            (Some(_) | None, Some(_) | None) => vec![Reference::Unsaid],
        };
        if facts.is_recent(&blob) {
            references.retain(|reference| *reference != Reference::Unsaid);
            references.push(Reference::Recent);
        }
        Item {
            kind: Kind::Bundle,
            digest: blob.digest,
            names: Vec::new(),
            bytes: blob.bytes,
            own_bytes: blob.bytes,
            created: blob.used,
            references,
        }
    };
    let mut items: Vec<Item> = stored.into_iter().map(item).collect();
    items.sort_by(|one, other| (one.created, &one.digest).cmp(&(other.created, &other.digest)));
    items
}

/// Those of which nobody has to make copies, in the order of `stored`: what was last said to be free, however long ago, and
/// was not used since. A process that has just begun does not know what the one before was told. None goes by this.
pub(crate) fn free(stored: &[StoredBlob], facts: &Facts) -> Vec<Digest> {
    let said = facts.said.iter().flat_map(|said| &said.bundles);
    let needs: BTreeMap<&Digest, &Need> = said.map(|need| (&need.digest, need)).collect();
    let is_free = |blob: &&StoredBlob| {
        let is_free = match (&facts.said, needs.get(&blob.digest)) {
            (Some(said), Some(need)) => need.by.is_empty() && facts.was_of_age(blob, said.at),
            (Some(_) | None, Some(_) | None) => facts.is_new,
        };
        is_free && !facts.is_recent(blob)
    };
    stored.iter().filter(is_free).map(|blob| blob.digest.clone()).collect()
}

impl Facts {
    /// Whatever clock says so: it was put or asked for a while ago.
    fn is_recent(&self, blob: &StoredBlob) -> bool {
        self.recent.contains(&blob.digest) || !self.was_of_age(blob, self.now)
    }

    /// A clock that was set back makes it unsaid.
    fn counts(&self, said: &Needs) -> bool {
        said.at <= self.now && self.now.duration_since(said.at) < SAID_FOR
    }

    /// Whether it had been unused for long enough at that time.
    fn was_of_age(&self, blob: &StoredBlob, at: Timestamp) -> bool {
        at.duration_since(blob.used) >= self.grace
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::option;
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    const GRACE: i64 = 3600;
    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn digest(bundle: u8) -> Digest {
        Digest::of(&[bundle])
    }

    fn stored(bundle: u8, used: i64) -> StoredBlob {
        StoredBlob { digest: digest(bundle), bytes: 10, used: at(used) }
    }

    fn need(bundle: u8, by: &[&str]) -> Need {
        let by = by.iter().map(|by| (*by).to_owned()).collect();
        Need { digest: digest(bundle), by }
    }

    fn facts(said_at: i64, bundles: Vec<Need>) -> Facts {
        Facts {
            said: Some(Needs { at: at(said_at), bundles }),
            is_new: false,
            recent: BTreeSet::new(),
            grace: SignedDuration::from_secs(GRACE),
            now: at(NOW),
        }
    }

    /// Why a bundle stays that was last used at this time.
    fn why(used: i64, facts: &Facts) -> Vec<String> {
        let items = items(vec![stored(1, used)], facts);
        items[0].references.iter().map(ToString::to_string).collect()
    }

    const UNSAID: &str = "nobody has said whether it is needed";
    const RECENT: &str = "used a moment ago";

    #[test]
    fn a_bundle_goes_once_it_was_of_age_when_nobody_referred_to_it() {
        let free = || facts(NOW - 60, vec![need(1, &[])]);
        assert_eq!(why(NOW - 60 - GRACE, &free()), [""; 0]);
        assert_eq!(why(NOW - 61 - GRACE + 2, &free()), [UNSAID], "too young when it was looked at");
        assert_eq!(why(NOW - GRACE + 1, &free()), [RECENT]);
        assert_eq!(why(NOW + 1, &free()), [RECENT], "by a clock that was set back");
        let used = Facts { recent: [digest(1)].into(), ..free() };
        assert_eq!(why(0, &used), [RECENT], "whatever the clock says");
    }

    #[test]
    fn a_bundle_stays_that_somebody_refers_to_or_nobody_spoke_of_lately() {
        let kept = facts(NOW - 60, vec![need(1, &["shop release 1", "kept for shop"])]);
        assert_eq!(why(0, &kept), ["shop release 1", "kept for shop"]);
        assert_eq!(why(NOW, &kept), ["shop release 1", "kept for shop", RECENT]);
        assert_eq!(why(0, &facts(NOW - 60, vec![need(2, &[])])), [UNSAID]);
        assert_eq!(why(0, &Facts { said: None, ..kept }), [UNSAID]);
        let free = |said_at| facts(said_at, vec![need(1, &[])]);
        assert_eq!(why(0, &free(NOW - SAID_FOR.as_secs() + 1)), [""; 0]);
        assert_eq!(why(0, &free(NOW - SAID_FOR.as_secs())), [UNSAID], "long ago");
        assert_eq!(why(0, &free(NOW + 1)), [UNSAID], "of a time that was not yet");
    }

    #[test]
    fn no_copies_are_made_of_what_was_said_to_be_free_or_of_what_nobody_could_speak_of_yet() {
        let is_free = |used: i64, facts: &Facts| !free(&[stored(1, used)], facts).is_empty();
        let said = facts(NOW - 60, vec![need(1, &[])]);
        assert!(is_free(NOW - 60 - GRACE, &said));
        assert!(!is_free(NOW - GRACE, &said), "used since it was looked at");
        assert!(is_free(0, &facts(NOW - GRACE * 24, vec![need(1, &[])])), "long ago");
        let used = Facts { recent: [digest(1)].into(), ..said.clone() };
        assert!(!is_free(0, &used));
        assert!(!is_free(0, &facts(NOW - 60, vec![need(1, &["shop release 1"])])));
        assert!(!is_free(0, &facts(NOW - 60, vec![need(2, &[])])), "it was left out");
        let unsaid = Facts { said: None, ..said };
        assert!(!is_free(0, &unsaid));
        let new = Facts { is_new: true, ..unsaid };
        assert!(is_free(NOW - GRACE, &new));
        assert!(!is_free(NOW - GRACE + 1, &new));
        assert_eq!(why(0, &new), [UNSAID], "nothing goes by this");
    }

    #[test]
    fn the_longest_unused_is_the_first() {
        let items = items(vec![stored(1, 30), stored(2, 10), stored(3, 20)], &facts(NOW, vec![]));
        let digests: Vec<&Digest> = items.iter().map(|item| &item.digest).collect();
        assert_eq!(digests, [&digest(2), &digest(3), &digest(1)]);
    }

    proptest! {
        #[test]
        fn what_may_go_was_said_to_be_free_and_was_not_used_since(
            bundles in btree_map(0_u8..20, -20_000_i64..1000, 0..20),
            said in option::of((-2000_i64..200, btree_map(0_u8..20, any::<bool>(), 0..20))),
            recent in btree_set(0_u8..20, 0..4),
        ) {
            let blobs: Vec<StoredBlob> =
                bundles.iter().map(|(bundle, ago)| stored(*bundle, NOW + ago)).collect();
            let says = |(ago, needs): &(i64, BTreeMap<u8, bool>)| {
                let by = |free: bool| if free { Vec::new() } else { vec!["shop"] };
                let needs = needs.iter().map(|(bundle, free)| need(*bundle, &by(*free)));
                Needs { at: at(NOW + ago), bundles: needs.collect() }
            };
            let facts = Facts {
                said: said.as_ref().map(says),
                recent: recent.iter().map(|bundle| digest(*bundle)).collect(),
                ..facts(NOW, Vec::new())
            };
            let free = free(&blobs, &facts);
            for item in items(blobs, &facts).iter().filter(|item| item.is_collectable()) {
                let bundle = (0..20).find(|bundle| digest(*bundle) == item.digest).unwrap();
                let (said_ago, needs) = said.as_ref().unwrap();
                prop_assert!(needs[&bundle], "{bundle} is needed");
                prop_assert!(bundles[&bundle] + GRACE <= *said_ago, "{bundle} was used since");
                prop_assert!(bundles[&bundle] + GRACE <= 0, "{bundle} was used a moment ago");
                prop_assert!(!recent.contains(&bundle));
                prop_assert!(free.contains(&item.digest), "copies would be made of {bundle}");
            }
        }
    }
}
