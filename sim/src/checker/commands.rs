//! Which commands changed what is wanted: a repeat, a second stop, a scale to the same number do not.

use common::record::deployment::{Deployment, Goal};
use common::record::instance::{Instance, State as Told};
use testkit::store::Committed;

use super::{Change, Checker};

impl Checker {
    /// A release was made.
    pub(super) fn check_release(&mut self, committed: &Committed) {
        let is_release = committed.path.as_str().contains("/releases/");
        let is_new = committed.before.is_none();
        if is_release && is_new && committed.after.as_ref().is_some_and(|value| !value.is_empty()) {
            self.effective += 1;
        }
    }

    /// A wish was written down: anew, with a new generation to run, to stop, or with another number.
    pub(super) fn count_wish(&mut self, before: Option<&Instance>, after: &Instance) {
        let Some(before) = before else {
            // A schedule counts by itself.
            self.effective += u64::from(after.state != Told::Scheduled);
            return;
        };
        if before.generation == after.generation || !self.wishes.is_asked(after.request) {
            return;
        }
        let runs = |state: Told| !matches!(state, Told::Stopping | Told::Stopped | Told::Scheduled);
        let is_deploy = after.state == Told::Deploying && after.request != before.request;
        let is_stop = after.state == Told::Stopping && runs(before.state);
        if is_deploy || is_stop || before.replicas != after.replicas {
            self.effective += 1;
        }
    }

    /// A command of another program began a generation.
    pub(super) fn count_foreign(&mut self, change: &Change<'_>) {
        let Some(after) = change.after else { return };
        let same = |before: &Deployment| before.generation == after.generation;
        if change.before.is_some_and(same) || !self.sent.contains_key(&after.request) {
            return;
        }
        let ran = change.before.is_some_and(|before| before.goal == Goal::Running);
        if after.goal == Goal::Running || ran {
            self.effective += 1;
        }
    }
}
