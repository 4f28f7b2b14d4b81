//! What was said on the bus from its beginning, and what must hold of it: every service has read its topic
//! to the end, and every command has exactly one answer or is a dead letter (I1).

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use common::failure::FailureCode;
use common::message::RejectCode;
use common::port::bus::{Delivery, MAX_PAYLOAD, Offset};
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::Value;

use crate::bus::Injector;
use crate::cluster::SERVICES;
use crate::foreign;

/// Why records may become dead letters.
const REASONS: [RejectCode; 7] = [
    RejectCode::Malformed,
    RejectCode::TooLarge,
    RejectCode::IdInvalid,
    RejectCode::UnknownKind,
    RejectCode::IdConflict,
    RejectCode::WrongTopic,
    RejectCode::Expired,
];

/// Where every topic begins.
const START: Offset = Offset(0);

/// A verb that asks for an answer.
struct Verb {
    text: &'static str,
    /// The kind under which `service` remembers the request.
    kind: &'static str,
    service: ServiceName,
    answered_on: Topic,
    is_answer: fn(&str) -> bool,
}

const VERBS: [Verb; 6] = [
    Verb {
        text: "deploy app",
        kind: "deploy-app",
        service: ServiceName::DeploymentManager,
        answered_on: Topic::FirstTopic,
        is_answer: |msg| {
            msg.starts_with("done ") && msg.contains(" deploy - ")
                || msg.starts_with("App ") && msg.contains(" not deployed. Error - ")
        },
    },
    Verb {
        text: "stop app",
        kind: "stop-app",
        service: ServiceName::DeploymentManager,
        answered_on: Topic::FirstTopic,
        is_answer: |msg| {
            msg.starts_with("done stopped$")
                || msg.starts_with("App ") && msg.contains(" not stopped. Error - ")
        },
    },
    Verb {
        text: "give best node",
        kind: "give-best-node",
        service: ServiceName::NodeManager,
        answered_on: Topic::DeploymentManager,
        is_answer: |msg| msg.starts_with("ans-node$"),
    },
    Verb {
        text: "scale app",
        kind: "scale-app",
        service: ServiceName::LoadBalancer,
        answered_on: Topic::FirstTopic,
        is_answer: |msg| {
            msg.starts_with("done scale app$") || msg.starts_with("not done scale app$")
        },
    },
    Verb {
        text: "status app",
        kind: "status-app",
        service: ServiceName::LoadBalancer,
        answered_on: Topic::FirstTopic,
        is_answer: |msg| {
            msg.starts_with("done status app$") || msg.starts_with("not done status app$")
        },
    },
    Verb {
        text: "schedule app",
        kind: "schedule-app",
        service: ServiceName::AppManager,
        answered_on: Topic::FirstTopic,
        is_answer: |msg| {
            msg.starts_with("done schedule app$") || msg.starts_with("not done schedule app$")
        },
    },
];

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub topic: Topic,
    pub payload: Bytes,
    /// Empty if the payload has none.
    pub request: String,
    /// Empty if the payload has none.
    pub msg: String,
    /// The platform's own messages carry one; injected ones do not.
    pub message_id: Option<String>,
    /// Why it is a dead letter, if it is one.
    pub reason: Option<String>,
}

impl Said {
    fn new(topic: Topic, delivery: Delivery) -> Self {
        let record = delivery.record;
        let body: Value = serde_json::from_slice(&record.payload).unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let header = |name| Some(String::from_utf8_lossy(record.header(name)?).into_owned());
        Said {
            topic,
            request: text("request_id"),
            msg: text("msg"),
            message_id: header("message-id"),
            reason: header("reason"),
            payload: record.payload,
        }
    }

    fn verb(&self) -> Option<&'static Verb> {
        let text = self.msg.split('$').next().unwrap_or_default();
        VERBS.iter().find(|verb| verb.text == text && verb.service.reads(self.topic))
    }
}

/// A command that was taken: its request and what remembers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    pub request: String,
    pub service: &'static str,
    pub kind: &'static str,
}

/// All records of the topics that services read, and of their dead letters.
#[derive(Debug, Default)]
pub struct History {
    pub said: Vec<Said>,
    pub letters: Vec<Said>,
}

/// Who reads what; the services that keep a fleet are no part of it.
fn readings() -> impl Iterator<Item = (ServiceName, Topic)> {
    let pairs =
        ServiceName::ALL.into_iter().flat_map(|service| Topic::ALL.map(|topic| (service, topic)));
    let is_there =
        |service: ServiceName| SERVICES.iter().any(|(name, _)| *name == service.as_str());
    pairs.filter(move |(service, topic)| service.reads(*topic) && is_there(*service))
}

/// Every service has done with everything it was sent; `brokers` are those that `injector` asks.
pub async fn is_read_to_the_end(injector: &Injector, brokers: &str) -> anyhow::Result<()> {
    for (service, topic) in readings() {
        let end = injector.end(&topic.into()).await?;
        if end > START {
            let position = foreign::position(brokers, service, topic).await?;
            ensure!(position == end.0, "{service} is at {position} of {end:?} on {topic}");
        }
    }
    Ok(())
}

/// Reads everything.
pub async fn read(injector: &Injector) -> anyhow::Result<History> {
    let topics = readings().map(|(_, topic)| topic);
    let reading = topics.map(|topic| async move {
        let letters = topic.dead_letter();
        let topic_name = topic.into();
        let (said, letters) =
            futures::try_join!(injector.all(&topic_name, START), injector.all(&letters, START))?;
        anyhow::Ok((topic, said, letters))
    });
    let mut history = History::default();
    for (topic, said, letters) in futures::future::try_join_all(reading).await? {
        history.said.extend(said.into_iter().map(|delivery| Said::new(topic, delivery)));
        history.letters.extend(letters.into_iter().map(|delivery| Said::new(topic, delivery)));
    }
    Ok(history)
}

impl History {
    /// Every command has exactly one answer, however often it was sent and told; the answer says why not by
    /// a code of the closed list. Returns the commands.
    pub fn is_answered(&self) -> anyhow::Result<BTreeSet<Taken>> {
        let buried: BTreeSet<(Topic, &[u8])> =
            self.letters.iter().map(|letter| (letter.topic, letter.payload.as_ref())).collect();
        let mut taken = BTreeSet::new();
        for said in &self.said {
            let kept = said.payload.get(..MAX_PAYLOAD).unwrap_or(&said.payload);
            if buried.contains(&(said.topic, kept)) {
                continue;
            }
            let Some(verb) = said.verb() else {
                let needs_none =
                    said.topic == Topic::FirstTopic || said.msg.starts_with("ans-node$");
                ensure!(needs_none, "neither taken nor a dead letter: {said:?}");
                continue;
            };
            self.one_answer(said, verb)?;
            taken.insert(Taken {
                request: said.request.clone(),
                service: verb.service.as_str(),
                kind: verb.kind,
            });
        }
        Ok(taken)
    }

    fn one_answer(&self, asked: &Said, verb: &Verb) -> anyhow::Result<()> {
        let answers: BTreeSet<(&str, &str)> = self
            .said
            .iter()
            .filter(|said| said.topic == verb.answered_on && said.request == asked.request)
            .filter(|said| (verb.is_answer)(&said.msg))
            .filter_map(|said| Some((said.message_id.as_deref()?, said.msg.as_str())))
            .collect();
        ensure!(answers.len() == 1, "{asked:?} has these answers: {answers:?}");
        let why = answers.iter().find_map(|(_, msg)| Some(msg.split_once(" Error - ")?.1));
        if let Some(why) = why {
            let (code, sentence) = why.split_once(": ").with_context(|| format!("why: {why}"))?;
            ensure!(code.parse::<FailureCode>().is_ok(), "{code} is not of the closed list");
            ensure!(!sentence.is_empty(), "{asked:?} failed without a sentence");
        }
        Ok(())
    }

    /// Every dead letter says why by a code of the closed list.
    pub fn dead_letters_say_why(&self) -> anyhow::Result<()> {
        for letter in &self.letters {
            let reason = letter.reason.as_deref().unwrap_or_default();
            let known = REASONS.iter().any(|code| {
                reason.strip_prefix(code.as_str()).is_some_and(|rest| rest.starts_with(": "))
            });
            ensure!(known, "a dead letter says {reason:?}: {letter:?}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(topic: Topic, request: &str, msg: &str, message_id: Option<&str>) -> Said {
        let payload = Bytes::from(format!("{request} {msg}"));
        let message_id = message_id.map(str::to_owned);
        let (request, msg) = (request.to_owned(), msg.to_owned());
        Said { topic, payload, request, msg, message_id, reason: None }
    }

    fn history(said: Vec<Said>) -> History {
        History { said, letters: Vec::new() }
    }

    /// A request, asked twice and answered once.
    fn asked() -> Vec<Said> {
        let ask = said(Topic::DeploymentManager, "7", "deploy app$shop", None);
        let done = said(Topic::FirstTopic, "7", "done shop deploy - 192.0.2.1:2000", Some("m"));
        vec![ask.clone(), ask, done]
    }

    #[test]
    fn one_answer_however_often_it_is_told_is_one() {
        let mut all = asked();
        all.push(all.last().unwrap().clone());
        // Other programs may say what they like: they do not answer for the platform.
        all.push(said(Topic::FirstTopic, "7", "done shop deploy - 192.0.2.9:2000", None));
        assert_eq!(history(all).is_answered().unwrap().len(), 1);
    }

    #[test]
    fn no_answer_two_answers_and_an_unknown_code_are_found() {
        let mut none = asked();
        none.pop();
        assert!(history(none).is_answered().is_err());
        for (text, id) in [
            ("App shop not deployed. Error - APP_EXITED: it ended", "m"),
            ("done shop deploy - 192.0.2.1:2000", "another"),
        ] {
            let mut two = asked();
            two.push(said(Topic::FirstTopic, "7", text, Some(id)));
            assert!(history(two).is_answered().is_err(), "{text}");
        }
        let mut vague = asked();
        vague.pop();
        let text = "App shop not deployed. Error - OOPS: it ended";
        vague.push(said(Topic::FirstTopic, "7", text, Some("m")));
        assert!(history(vague).is_answered().is_err());
    }

    #[test]
    fn what_is_neither_taken_nor_a_dead_letter_is_found() {
        let strange = said(Topic::NodeManager, "7", "dance app$shop", None);
        let mut one = history(vec![strange.clone()]);
        assert!(one.is_answered().is_err());
        one.letters.push(Said { reason: Some("MSG_UNKNOWN_KIND: what".to_owned()), ..strange });
        assert!(one.is_answered().unwrap().is_empty());
        one.dead_letters_say_why().unwrap();
        one.letters.iter_mut().for_each(|letter| letter.reason = Some("BECAUSE: so".to_owned()));
        assert!(one.dead_letters_say_why().is_err());
    }
}
