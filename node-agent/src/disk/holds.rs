//! Images that are being started, and images that are being removed: never the same one at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::digest::Digest;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::domain::collection::RECENT;

/// By the digests of images' names, or their ids.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Digest, usize>,
    going: BTreeSet<Digest>,
    /// When it was last made, fetched or started.
    used: BTreeMap<Digest, Instant>,
}

impl Holds {
    /// Nobody removes the image as long as this is held. Waits while it is being removed.
    pub(crate) async fn hold(&self, image: &Digest) -> Hold<'_> {
        loop {
            let freed = self.freed.notified();
            if let Some(hold) = self.try_hold(image) {
                return hold;
            }
            freed.await;
        }
    }

    fn try_hold(&self, image: &Digest) -> Option<Hold<'_>> {
        let mut state = self.lock();
        if state.going.contains(image) {
            return None;
        }
        *state.held.entry(image.clone()).or_default() += 1;
        state.used.insert(image.clone(), Instant::now());
        Some(Hold { holds: self, image: image.clone() })
    }

    /// For who removes an image that has these digests; none if somebody holds it.
    pub(crate) fn claim(&self, digests: &BTreeSet<Digest>) -> Option<Claim<'_>> {
        let mut state = self.lock();
        if digests.iter().any(|digest| state.held.contains_key(digest)) {
            return None;
        }
        state.going.extend(digests.iter().cloned());
        Some(Claim { holds: self, digests: digests.clone() })
    }

    /// It was made or fetched just now.
    pub(crate) fn touch(&self, image: &Digest) {
        self.lock().used.insert(image.clone(), Instant::now());
    }

    /// What was made, fetched or started a moment ago.
    pub(crate) fn recent(&self) -> BTreeSet<Digest> {
        let limit = Duration::try_from(RECENT).unwrap_or_default();
        let mut state = self.lock();
        state.used.retain(|_, used| used.elapsed() < limit);
        state.used.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody uses an image.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    holds: &'a Holds,
    image: Digest,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        match state.held.get_mut(&self.image) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(state.held.remove(&self.image)),
        }
    }
}

/// Somebody removes an image.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    holds: &'a Holds,
    digests: BTreeSet<Digest>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.holds.lock();
        state.going.retain(|digest| !self.digests.contains(digest));
        drop(state);
        self.holds.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn who_starts_an_image_waits_until_it_is_gone_and_who_removes_one_does_not_wait() {
        let holds = Holds::default();
        let both = BTreeSet::from([digest("id"), digest("name")]);
        let claim = holds.claim(&both).unwrap();
        let (id, unrelated) = (digest("id"), digest("other"));
        let mut waiting = Box::pin(holds.hold(&id));
        assert!(futures::poll!(&mut waiting).is_pending());
        let other = holds.hold(&unrelated).await;
        assert!(holds.claim(&[digest("other")].into()).is_none());
        drop(other);
        assert!(holds.claim(&[digest("other")].into()).is_some());
        drop(claim);
        let first = waiting.await;
        let second = holds.hold(both.first().unwrap()).await;
        drop(first);
        assert!(holds.claim(&both).is_none(), "one of two still holds it");
        drop(second);
        assert!(holds.claim(&both).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_is_recent_for_a_while() {
        let holds = Holds::default();
        drop(holds.hold(&digest("started")).await);
        tokio::time::advance(Duration::from_mins(10)).await;
        holds.touch(&digest("built"));
        assert_eq!(holds.recent().len(), 2);
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(holds.recent(), [digest("built")].into());
    }
}
