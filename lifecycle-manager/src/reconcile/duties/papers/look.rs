//! What is known of certificates, settings and receivers, completed with what is seen: which ones each part came with, and
//! whether it is due. Which ones a part has is known where its specification would be the same today.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::Digest;
use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::record::machine::MachineState;
use common::service::ServiceName;

use super::super::Duties;
use super::{Today, is_of_the_base, read};
use crate::domain::note::Sightings;
use crate::domain::papers::{PROBATION, due_since};
use crate::domain::sighting::{Sighting, is_ready};
use crate::domain::waits::elapsed;
use crate::draft::Order;
use crate::records::{Error, NodePapers, Paper, Rollout, load, papers_path, rollout_path, save};

/// What the plan needs to know, beside what is seen.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) notes: BTreeMap<NodeName, NodePapers>,
    pub(super) open: BTreeSet<NodeName>,
    pub(super) rollouts: BTreeMap<PartName, Rollout>,
}

/// A part that is seen.
#[derive(Clone, Copy)]
struct Seen<'a> {
    node: &'a NodeName,
    part: &'a Part,
    service: ServiceName,
    /// None for those of the base.
    rollout: Option<&'a Rollout>,
}

impl Duties<'_> {
    pub(super) async fn look(&self, today: Today<'_>, seen: &Sightings) -> Result<Known, Error> {
        let mut known = Known { rollouts: self.rollouts(seen).await?, ..Known::default() };
        for (node, sighting) in seen {
            let (mut notes, version) = read(self.0, node).await?;
            let is_ready = self.0.sight.state(node) == Some(MachineState::Ready);
            if let Sighting::Answers { parts } = sighting
                && is_ready
            {
                let before = notes.clone();
                notes = today.noted(notes, node, parts, &known.rollouts);
                if notes != before {
                    save(self.0, &papers_path(node), &notes, version).await?;
                }
                known.open.insert(node.clone());
            }
            known.notes.insert(node.clone(), notes);
        }
        Ok(known)
    }

    /// Of all services that are placed.
    async fn rollouts(&self, seen: &Sightings) -> Result<BTreeMap<PartName, Rollout>, Error> {
        let parts = seen.values().filter_map(Sighting::parts).flatten();
        let names: BTreeSet<&PartName> = parts.map(|part| &part.name).collect();
        let mut rollouts = BTreeMap::new();
        for name in names {
            let Ok(service) = name.as_str().parse::<ServiceName>() else { continue };
            if let Some(stored) = load::<Rollout>(self.0, &rollout_path(service)).await? {
                rollouts.insert(name.clone(), stored.record);
            }
        }
        Ok(rollouts)
    }
}

impl Today<'_> {
    /// What is known of a machine that answers, with what is seen of it.
    fn noted(
        self,
        mut notes: NodePapers,
        node: &NodeName,
        parts: &[Part],
        rollouts: &BTreeMap<PartName, Rollout>,
    ) -> NodePapers {
        notes.parts.retain(|name, paper| {
            let is_there = parts.iter().any(|part| part.name == *name);
            let tried = paper.attempt.as_ref().map(|attempt| elapsed(attempt.at, self.now));
            is_there || tried.is_some_and(|tried| tried < PROBATION)
        });
        for part in parts {
            let Ok(service) = part.name.as_str().parse::<ServiceName>() else { continue };
            let Some(current) = self.of_part(node, service, part.generation) else { continue };
            let former = notes.parts.remove(&part.name);
            let rollout = rollouts.get(&part.name);
            let seen = Seen { node, part, service, rollout };
            notes.parts.insert(part.name.clone(), self.paper(seen, former, &current));
        }
        if let Some(current) = self.of_agent(node) {
            let paper = notes.agent.get_or_insert_with(|| Paper::new("", None, self.now));
            paper.due = due_since(paper, &current, self.now);
            paper.stands();
        }
        notes
    }

    /// What is known of a part that is seen.
    fn paper(self, seen: Seen<'_>, former: Option<Paper>, current: &Digest) -> Paper {
        let Seen { part, service, .. } = seen;
        let (spec_hash, given) = (&part.spec_hash, self.vault.secrets.given);
        let attempt = former.as_ref().and_then(|paper| paper.attempt.clone());
        let before = former.filter(|paper| paper.spec_hash == *spec_hash);
        let mut paper = before.unwrap_or_else(|| {
            let certificate = self.would_make(seen).then(|| current.clone());
            // Where an older agent shows another hash, it is not ordered again and again.
            let attempt = attempt.filter(|_| certificate.is_none());
            let is_of_today = certificate.is_some() || attempt.is_some();
            let (settings, given) =
                (self.settings_of(service), if is_of_today { given } else { 0 });
            Paper { settings, given, attempt, ..Paper::new(spec_hash, certificate, self.now) }
        });
        let is_untried = paper.due.is_some() || paper.attempt.is_none();
        let is_unknown = paper.certificate.is_none() && is_untried;
        let mut says_otherwise = is_unknown && self.may_say_otherwise(service);
        match self.is_followed(seen, &paper) {
            Some(true) => paper.given = given,
            Some(false) => says_otherwise = true,
            None => {}
        }
        let since = says_otherwise.then(|| paper.due.unwrap_or(self.now));
        paper.due = due_since(&paper, current, self.now).or(since);
        if is_ready(part) {
            paper.stands();
        }
        paper
    }

    /// Whether it goes by what this process was given; none where it may go by what was given later, or does soon.
    fn is_followed(self, seen: Seen<'_>, paper: &Paper) -> Option<bool> {
        let Seen { node, service, rollout, .. } = seen;
        let given = self.vault.secrets.given;
        if is_of_the_base(service) {
            return (given >= paper.given).then(|| paper.settings == self.settings_of(service));
        }
        // A version says which receivers there are, not whether whoever made the instance had them.
        let rollout =
            rollout.filter(|one| service == ServiceName::Monitoring && one.given <= given)?;
        let version = &rollout.instance(node)?.version;
        let is_open = given > paper.given && rollout.is_to_stay(version);
        is_open.then(|| self.would_make(seen))
    }

    /// Whether its specification would be the same today.
    fn would_make(self, seen: Seen<'_>) -> bool {
        let Seen { node, part: found, rollout, .. } = seen;
        let version = rollout.and_then(|one| Some(&one.instance(node)?.version));
        let image = version.and_then(|version| version.image.as_ref());
        let settings = version.map(|version| &version.configured.settings);
        let (part, generation) = (&found.name, found.generation);
        let order = Order { part, node, generation, image, settings };
        self.draft(&order).is_ok_and(|spec| spec.hash() == found.spec_hash)
    }
}
