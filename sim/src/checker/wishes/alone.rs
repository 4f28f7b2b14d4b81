//! Canaries that took over as nothing else of their instance served any more.

use common::record::deployment::{Deployment, Slot, SlotState};

use super::turns::Turn;
use crate::checker::Checker;

impl Checker {
    /// Visitors had nothing but a canary as another release was asked for: it may be what is served from then on, though
    /// nobody promoted it.
    pub(in crate::checker) fn note_alone(&mut self, before: &Deployment, after: &Deployment) {
        let is_canary = before.canary.as_ref().is_some_and(|canary| !canary.promoted);
        let rises = after.serves(before.rising()) && !before.serves(before.rising());
        let other = |slot: &Slot| slot.state == SlotState::Routed && before.serves(slot.generation);
        let has_other = before.slots.iter().any(other);
        if !is_canary || !rises || has_other {
            return;
        }
        let Some(accepted) = self.wishes.instances.get_mut(&before.instance) else { return };
        for taken in accepted.turns.iter_mut().filter(|taken| taken.request == before.request) {
            if let Turn::Canary(releases, _) = &taken.turn {
                taken.turn = Turn::Whole(releases.clone());
            }
        }
    }
}
