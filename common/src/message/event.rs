//! What happened, told on `first_topic`: messages 2, 4, 8, 9, 11, 12, 14-17 and answers to our own verbs.

use std::net::SocketAddr;

use uuid::Uuid;

use super::text::{self, Excerpt, malformed};
use super::{TextError, on_topic};
use crate::name::LegacyName;

const STARTED: &str = "Bootstrapper start response - ";
const STOPPED: &str = "Bootstrapper stop response - ";

/// A message on `first_topic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Message 2.
    PlatformStarted(PlatformOutcome),
    /// Message 4.
    PlatformStopped(PlatformOutcome),
    /// Message 8, `done <instance> deploy - <ip>:<port>`.
    Deployed { instance: LegacyName, endpoint: SocketAddr },
    /// Message 9, `App <instance> not deployed. Error - <text>`.
    NotDeployed { instance: LegacyName, error: String },
    /// Message 11, `done stopped$<instance>`.
    Stopped { instance: LegacyName },
    /// Message 12, `App <instance> not stopped. Error - <text>`.
    NotStopped { instance: LegacyName, error: String },
    /// Message 14, `done schedule app$<instance>`.
    Scheduled { instance: LegacyName },
    /// Message 15, `its time$<instance>`.
    ItsTime { instance: LegacyName },
    /// Message 16, `its end time$<instance>`.
    ItsEndTime { instance: LegacyName },
    /// Message 17, `done schedule deploy$<instance>$<url>`.
    ScheduledDeployed { instance: LegacyName, url: String },
    /// `done <verb>$<text>`: a verb of our own topics succeeded. A verb is lower-case words.
    Done { verb: String, text: String },
    /// `not done <verb>$<text> Error - <error>`. The text holds no ` Error - ` itself.
    NotDone { verb: String, text: String, error: String },
    /// `alert$<incident>`: something is wrong; what, is in the header `details` alone. The names in it would
    /// make document 001's programs, which look for words anywhere in the text, hear what was never said.
    Alert { incident: Uuid },
    /// `alert over$<incident>`: it is well again.
    AlertOver { incident: Uuid },
}

/// How starting or stopping the platform ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformOutcome {
    /// `… - YES - <details>`; the originals say `… - Success`.
    Yes { details: String },
    /// `… - NO - <error>`; the originals say the error text alone.
    No { error: String },
}

on_topic!(Event, FirstTopic);

impl Event {
    pub fn encode(&self) -> String {
        match self {
            Event::PlatformStarted(outcome) => format!("{STARTED}{}", outcome.encode()),
            Event::PlatformStopped(outcome) => format!("{STOPPED}{}", outcome.encode()),
            Event::Deployed { instance, endpoint } => {
                format!("done {instance} deploy - {endpoint}")
            }
            Event::NotDeployed { instance, error } => {
                format!("App {instance} not deployed. Error - {error}")
            }
            Event::Stopped { instance } => format!("done stopped${instance}"),
            Event::NotStopped { instance, error } => {
                format!("App {instance} not stopped. Error - {error}")
            }
            Event::Scheduled { instance } => format!("done schedule app${instance}"),
            Event::ItsTime { instance } => format!("its time${instance}"),
            Event::ItsEndTime { instance } => format!("its end time${instance}"),
            Event::ScheduledDeployed { instance, url } => {
                format!("done schedule deploy${instance}${url}")
            }
            Event::Done { verb, text } => format!("done {verb}${text}"),
            Event::NotDone { verb, text, error } => {
                format!("not done {verb}${text} Error - {error}")
            }
            Event::Alert { incident } => format!("alert${incident}"),
            Event::AlertOver { incident } => format!("alert over${incident}"),
        }
    }

    pub fn decode(text: &str) -> Result<Self, TextError> {
        if let Some(rest) = text.strip_prefix(STARTED) {
            Ok(Event::PlatformStarted(PlatformOutcome::decode(rest)))
        } else if let Some(rest) = text.strip_prefix(STOPPED) {
            Ok(Event::PlatformStopped(PlatformOutcome::decode(rest)))
        } else if let Some(rest) = text.strip_prefix("App ") {
            failed(rest)
        } else if let Some(rest) = text.strip_prefix("done ") {
            done(rest)
        } else if let Some(rest) = text.strip_prefix("not done ") {
            not_done(rest)
        } else if let Some(rest) = text.strip_prefix("its time$") {
            Ok(Event::ItsTime { instance: text::instance(rest)? })
        } else if let Some(rest) = text.strip_prefix("its end time$") {
            Ok(Event::ItsEndTime { instance: text::instance(rest)? })
        } else if let Some(rest) = text.strip_prefix("alert$") {
            Ok(Event::Alert { incident: incident(rest)? })
        } else if let Some(rest) = text.strip_prefix("alert over$") {
            Ok(Event::AlertOver { incident: incident(rest)? })
        } else {
            Err(TextError::UnknownKind)
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::PlatformStarted(_) => "platform-started",
            Event::PlatformStopped(_) => "platform-stopped",
            Event::Deployed { .. } => "deployed",
            Event::NotDeployed { .. } => "not-deployed",
            Event::Stopped { .. } => "stopped",
            Event::NotStopped { .. } => "not-stopped",
            Event::Scheduled { .. } => "scheduled",
            Event::ItsTime { .. } => "its-time",
            Event::ItsEndTime { .. } => "its-end-time",
            Event::ScheduledDeployed { .. } => "scheduled-deployed",
            Event::Done { .. } => "done",
            Event::NotDone { .. } => "not-done",
            Event::Alert { .. } => "alert",
            Event::AlertOver { .. } => "alert-over",
        }
    }
}

impl PlatformOutcome {
    fn encode(&self) -> String {
        match self {
            PlatformOutcome::Yes { details } => format!("YES - {details}"),
            PlatformOutcome::No { error } => format!("NO - {error}"),
        }
    }

    fn decode(text: &str) -> Self {
        let (verdict, rest) = text.split_once(" - ").unwrap_or((text, ""));
        match verdict {
            "YES" => PlatformOutcome::Yes { details: rest.to_owned() },
            "NO" => PlatformOutcome::No { error: rest.to_owned() },
            _ if text == "Success" => PlatformOutcome::Yes { details: String::new() },
            _ => PlatformOutcome::No { error: text.to_owned() },
        }
    }
}

/// `<instance> not deployed. Error - <text>`, and the same with `stopped`.
fn failed(rest: &str) -> Result<Event, TextError> {
    let (instance, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let instance = text::instance(instance)?;
    if let Some(error) = rest.strip_prefix("not deployed. Error - ") {
        Ok(Event::NotDeployed { instance, error: error.to_owned() })
    } else if let Some(error) = rest.strip_prefix("not stopped. Error - ") {
        Ok(Event::NotStopped { instance, error: error.to_owned() })
    } else {
        Err(malformed("it does not say what the instance did not do"))
    }
}

/// Neither an instance nor an endpoint holds a `$`, so the first `$` tells message 8 from the others.
fn done(rest: &str) -> Result<Event, TextError> {
    let Some((verb, payload)) = rest.split_once('$') else { return deployed(rest) };
    match verb {
        "stopped" => Ok(Event::Stopped { instance: text::instance(payload)? }),
        "schedule app" => Ok(Event::Scheduled { instance: text::instance(payload)? }),
        "schedule deploy" => scheduled_deployed(payload),
        _ => Ok(Event::Done { verb: own_verb(verb)?, text: payload.to_owned() }),
    }
}

fn deployed(rest: &str) -> Result<Event, TextError> {
    let (instance, endpoint) =
        rest.split_once(" deploy - ").ok_or_else(|| malformed("it does not say what is done"))?;
    let instance = text::instance(instance)?;
    let endpoint = endpoint
        .parse()
        .map_err(|_| malformed(format!("{:?} is no <ip>:<port>", Excerpt(endpoint))))?;
    Ok(Event::Deployed { instance, endpoint })
}

fn scheduled_deployed(payload: &str) -> Result<Event, TextError> {
    let (instance, url) = text::split(payload);
    let instance = text::instance(instance)?;
    if url.is_empty() || url.contains('$') {
        return Err(malformed(format!("{:?} is no URL", Excerpt(url))));
    }
    Ok(Event::ScheduledDeployed { instance, url: url.to_owned() })
}

fn not_done(rest: &str) -> Result<Event, TextError> {
    let (verb, payload) = text::split(rest);
    let verb = own_verb(verb)?;
    let (text, error) =
        payload.split_once(" Error - ").ok_or_else(|| malformed("it does not say why not"))?;
    Ok(Event::NotDone { verb, text: text.to_owned(), error: error.to_owned() })
}

/// Only the hyphenated form, in lower case: there is one way to write it.
fn incident(text: &str) -> Result<Uuid, TextError> {
    let parsed = Uuid::parse_str(text).ok().filter(|id| id.hyphenated().to_string() == text);
    parsed.ok_or_else(|| malformed(format!("{:?} is no incident", Excerpt(text))))
}

fn own_verb(text: &str) -> Result<String, TextError> {
    let words = text
        .split(' ')
        .all(|word| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase()));
    if words {
        Ok(text.to_owned())
    } else {
        Err(malformed(format!("{:?} is no verb", Excerpt(text))))
    }
}
