//! A second look between machines, before a part of an ensemble is ended for its silence: the agents of most of those that
//! have one must let it. What this one has said is on its disk before another hears it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use common::agent::{Consent, Consented};
use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::port::part::PartSpec;
use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Parts;
use crate::agent::Error;
use crate::domain::consent::{Asked, Consents, LONGEST, Refusal, are_enough};
use crate::domain::silence::{BACK_WITHIN, START_WITHIN};
use crate::ledger;

/// How long another agent may take to say something.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What this agent has said to others.
#[derive(Debug)]
pub(super) struct Said {
    path: PathBuf,
    consents: Mutex<Consents>,
    /// About whose end others are being asked.
    asking: std::sync::Mutex<Option<PartName>>,
    /// Until when nothing is said, as what was said before is not known.
    closed_until: Duration,
}

impl Said {
    /// What was said before holds as long again.
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join("consents.json");
        let (mut consents, closed_until) = match read(&path) {
            Ok(consents) => (consents, Duration::ZERO),
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "what other agents were told cannot be read; they are told nothing for a while"
                );
                (Consents::default(), LONGEST)
            }
        };
        consents.begins_anew();
        let (consents, asking) = (Mutex::new(consents), std::sync::Mutex::default());
        Said { path, consents, asking, closed_until }
    }

    async fn ask(&self, asked: Asked<'_>, now: Duration) -> io::Result<Result<(), Refusal>> {
        if now < self.closed_until {
            return Ok(Err(Refusal::Forgotten));
        }
        let mut consents = self.consents.lock().await;
        let mut next = consents.clone();
        let said = next.ask(asked, now);
        if !next.gives_as(&consents) {
            ledger::write_file(&self.path, serde_json::to_vec(&next)?).await?;
        }
        *consents = next;
        Ok(said)
    }

    async fn is_free_for(&self, part: &PartName, node: &NodeName, now: Duration) -> bool {
        self.consents.lock().await.is_free_for(part, node, now)
    }

    fn asks(&self, part: Option<PartName>) {
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    fn is_asking(&self, part: &PartName) -> bool {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(part)
    }
}

fn read(path: &Path) -> io::Result<Consents> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Consents::default()),
        Err(err) => Err(err),
    }
}

impl Parts {
    /// Says whether another agent may end its part of an ensemble: only one that has such a part, as this one knows it.
    pub(crate) async fn consent_to(&self, asked: &Consent) -> Result<Consented, Error> {
        if asked.node == self.node {
            return Err(Error::Specification { field: "node", rule: "it is another's" });
        }
        let told = self.ledger.part(&asked.part);
        let told = told.ok_or_else(|| Error::UnknownPart(asked.part.clone()))?;
        let members = ensemble(&told.spec).unwrap_or_default();
        if !members.iter().any(|member| member.node == asked.node) {
            let why = format!("it knows of no {} on {}", asked.part, asked.node);
            return Ok(Consented { refused: Some(why) });
        }
        self.consent(asked).await
    }

    /// Says whether a part of an ensemble may be ended, here or on another machine.
    async fn consent(&self, asked: &Consent) -> Result<Consented, Error> {
        let is_others = asked.node != self.node;
        let own_starts = is_others && self.is_own_starting(&asked.part);
        let lasting = Duration::from_secs(u64::from(asked.seconds));
        let Consent { part, node, .. } = asked;
        let asked = Asked { part, by: node, lasting, own_starts };
        let said = self.said.ask(asked, self.now()).await.map_err(Error::Ledger)?;
        Ok(Consented { refused: said.err().map(|why| why.to_string()) })
    }

    fn is_own_starting(&self, name: &PartName) -> bool {
        // Somebody is at it. To ask others about it is not yet to end it: or two that ask would refuse each other.
        if !self.said.is_asking(name) && self.locks.try_lock(name).is_none() {
            return true;
        }
        let Some(told) = self.ledger.part(name) else { return false };
        let within =
            told.spec.health.map(|health| Duration::from_secs(u64::from(health.start_seconds)));
        let within = within.unwrap_or_default().max(START_WITHIN);
        self.standing.is_starting(name, within)
    }

    /// Whether a part may be ended now, as far as others have a say in it. They are asked in the order of the ensemble,
    /// its own agent in its turn, and the first that refuses ends it: so two that ask never hold up each other.
    pub(super) async fn may_end(&self, spec: &PartSpec) -> bool {
        // One that was specified before there were ensembles still waits for who was let.
        let Some(members) = ensemble(spec) else {
            return self.said.is_free_for(&spec.name, &self.node, self.now()).await;
        };
        self.said.asks(Some(spec.name.clone()));
        let may_end = self.most_let(spec, members).await;
        self.said.asks(None);
        if !may_end {
            self.give_back(spec).await;
        }
        may_end
    }

    async fn most_let(&self, spec: &PartSpec, members: &[Agent]) -> bool {
        let longest = Duration::from_secs(u64::from(spec.stop_seconds)) + BACK_WITHIN;
        let mut given = 0;
        for member in members {
            match self.ask(member, &spec.name, longest).await {
                Some(Consented { refused: None }) => given += 1,
                Some(Consented { refused: Some(why) }) => {
                    tracing::warn!(part = %spec.name, by = %member.node, why, "a part answers nothing, and is not ended yet");
                    return false;
                }
                None => {}
            }
        }
        let enough = are_enough(given, members.len());
        if !enough {
            tracing::warn!(part = %spec.name, given, "a part answers nothing, and too few agents say whether it may be ended");
        }
        enough
    }

    /// Another may be ended from now on.
    pub(super) async fn give_back(&self, spec: &PartSpec) {
        let members = ensemble(spec).unwrap_or_default().iter();
        join_all(members.map(|member| self.ask(member, &spec.name, Duration::ZERO))).await;
    }

    /// None if nobody knows what it says.
    async fn ask(&self, member: &Agent, part: &PartName, lasting: Duration) -> Option<Consented> {
        let seconds = u32::try_from(lasting.as_secs()).unwrap_or(u32::MAX);
        let asked = Consent { part: part.clone(), node: self.node.clone(), seconds };
        if member.node == self.node {
            return self.consent(&asked).await.ok();
        }
        let answer = timeout(ANSWER_WITHIN, self.neighbours.consent(member, &asked)).await;
        match answer {
            Ok(Ok(said)) => Some(said),
            Ok(Err(err)) => {
                tracing::debug!(error = %err, node.id = %member.node, "another agent could not be asked");
                None
            }
            Err(_) => None,
        }
    }
}

fn ensemble(spec: &PartSpec) -> Option<&[Agent]> {
    let members = spec.health.as_ref().map(|health| health.ensemble.as_slice());
    members.filter(|members| !members.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asks(said: &Said, by: &str, now: Duration) -> bool {
        let (part, by): (PartName, NodeName) = ("kafka".parse().unwrap(), by.parse().unwrap());
        let asked =
            Asked { part: &part, by: &by, lasting: Duration::from_mins(1), own_starts: false };
        said.ask(asked, now).await.unwrap().is_ok()
    }

    #[tokio::test]
    async fn what_was_said_outlives_the_agent_and_after_damage_nothing_is_said_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Said::open(folder.path());
        assert!(asks(&open(), "a", Duration::ZERO).await);
        let said = open();
        assert!(!asks(&said, "b", Duration::from_secs(59)).await);
        assert!(asks(&said, "b", Duration::from_mins(1)).await);
        fs::write(folder.path().join("consents.json"), "{").unwrap();
        let said = open();
        assert!(!asks(&said, "b", LONGEST.saturating_sub(Duration::from_secs(1))).await);
        assert!(asks(&said, "c", LONGEST).await);
    }
}
