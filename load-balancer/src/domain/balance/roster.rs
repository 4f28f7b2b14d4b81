//! The apps that are balanced, with what was measured of their replicas lately.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::id::Generation;
use common::name::{ContainerName, LegacyName, NodeName};
use common::port::edge::{Traffic, Visits};
use common::port::nodes::ContainerUse;
use jiff::Timestamp;

use super::Rules;
use super::course::{Course, Draft, Measured, Verdict};
use super::demand::Counts;
use super::known::Known;
use super::rest::{self, Told, may_rest};
use super::window::{Load, Window};

/// All apps within bounds. Empty on a platform that has none.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    apps: BTreeMap<LegacyName, App>,
    /// Containers have names of their own: of two generations, too.
    replicas: BTreeMap<ContainerName, Tracked>,
}

#[derive(Debug)]
struct App {
    known: Known,
    course: Course,
    /// Empty for an app that is not balanced by what visitors ask.
    counts: Counts,
    told: Told,
    /// Whether a replica of its route is ill.
    has_ill: bool,
    writing: Writing,
}

/// Whether a decision is on its way into the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Nothing,
    Decision,
}

#[derive(Debug)]
struct Tracked {
    node: NodeName,
    generation: Generation,
    window: Window,
}

/// Time, of both kinds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) up: Duration,
}

impl Roster {
    pub(crate) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.apps.len()
    }

    pub(crate) fn instances(&self) -> Vec<LegacyName> {
        self.apps.keys().cloned().collect()
    }

    /// Takes in what the records say of an app; none for one that is not balanced.
    pub(crate) fn adopt(&mut self, instance: &LegacyName, known: Option<Known>, now: Now) {
        let before = self.apps.remove(instance);
        self.track(before.as_ref().map(|app| &app.known), known.as_ref());
        let Some(known) = known else { return };
        let app = match before {
            Some(App { known: old, mut course, counts, told, has_ill, writing }) => {
                course.follow(&old, &known, now.wall, now.up);
                // What is asked of other replicas, or of more of them, is another thing.
                let stays = old.replicas == known.replicas;
                let counts = if stays { counts } else { Counts::default() };
                App { known, course, counts, told, has_ill, writing }
            }
            None => {
                let course = Course::of(&known, now.wall, now.up);
                let (counts, told) = (Counts::default(), Told::default());
                App { known, course, counts, told, has_ill: false, writing: Writing::Nothing }
            }
        };
        self.apps.insert(instance.clone(), app);
    }

    /// Windows of replicas that stay, stay.
    fn track(&mut self, before: Option<&Known>, known: Option<&Known>) {
        let now = known.map(|known| known.replicas.as_slice()).unwrap_or_default();
        for old in before.map(|known| known.replicas.as_slice()).unwrap_or_default() {
            if !now.contains(old) {
                self.replicas.remove(&old.container);
            }
        }
        for new in now {
            self.replicas.entry(new.container.clone()).or_insert_with(|| Tracked {
                node: new.node.clone(),
                generation: new.generation,
                window: Window::default(),
            });
        }
    }

    /// A node's sample came in. What a node says of a replica that is not its own is not heard.
    pub(crate) fn hear(
        &mut self,
        node: &NodeName,
        containers: &[ContainerUse],
        rules: &Rules,
        now: Duration,
    ) {
        if self.replicas.is_empty() {
            return;
        }
        for container in containers {
            let Some(tracked) = self.replicas.get_mut(&container.name) else { continue };
            if tracked.node == *node && tracked.generation == container.generation {
                let measured = container.measured.filter(|_| container.running);
                tracked.window.push(now, measured, rules.samples);
            }
        }
    }

    /// The edge told what it was asked; none where it does not.
    pub(crate) fn hear_traffic(&mut self, traffic: Option<&Traffic>, rules: &Rules, now: Duration) {
        for (instance, app) in &mut self.apps {
            if app.known.scaling.is_by_traffic() {
                let told = traffic.and_then(|traffic| traffic.apps.get(instance));
                app.counts.push(now, told, rules);
            }
        }
    }

    /// Whether there is an app that may have no replicas.
    pub(crate) fn may_rest(&self) -> bool {
        self.apps.values().any(|app| may_rest(&app.known))
    }

    /// The edge told who waits, and who does not.
    pub(crate) fn hear_visits(&mut self, visits: &BTreeMap<LegacyName, Visits>, now: Duration) {
        for (instance, app) in &mut self.apps {
            app.told.push(visits.get(instance).copied(), now);
        }
    }

    /// These are the routes that have ill replicas.
    pub(crate) fn hear_ill(&mut self, instances: &BTreeSet<LegacyName>) {
        for (instance, app) in &mut self.apps {
            app.has_ill = instances.contains(instance);
        }
    }

    /// Decides on every app; what is decided is to be written, and then [`Roster::written`].
    pub(crate) fn cycle(&mut self, rules: &Rules, now: Duration) -> Vec<(LegacyName, Draft)> {
        let mut drafts = Vec::new();
        for (instance, app) in &mut self.apps {
            if app.writing == Writing::Decision {
                continue;
            }
            let loads: Vec<Option<Load>> = app
                .known
                .replicas
                .iter()
                .map(|replica| {
                    let tracked = self.replicas.get(&replica.container)?;
                    tracked.window.mean(now, rules.samples)
                })
                .collect();
            let demand = app.counts.demand(now, rules);
            let resting = rest::next(&app.known, app.told, app.course.is_young(now), now);
            let verdict = resting.unwrap_or_else(|| {
                let measured = Measured { loads: &loads, demand, has_ill: app.has_ill };
                app.course.next(&app.known, measured, rules, now)
            });
            if let Verdict::Decide(draft) = verdict {
                app.writing = Writing::Decision;
                drafts.push((instance.clone(), draft));
            }
        }
        drafts
    }

    /// A decision stands in the records, or will not.
    pub(crate) fn written(&mut self, instance: &LegacyName) {
        if let Some(app) = self.apps.get_mut(instance) {
            app.writing = Writing::Nothing;
        }
    }
}

#[cfg(test)]
mod tests;
