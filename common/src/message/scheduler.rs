//! What the scheduler is told: message 13.

use jiff::civil::DateTime;

use super::text::{self, Excerpt, malformed};
use super::{TextError, on_topic};
use crate::name::LegacyName;

const FORMAT: &str = "%Y-%m-%dT%H:%M";

/// A message on `Scheduler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchedulerCommand {
    /// Message 13, `schedule app$<instance>$<start>$<end>`, times `YYYY-MM-DDTHH:MM`.
    Schedule { instance: LegacyName, start: DateTime, end: DateTime },
}

on_topic!(SchedulerCommand, Scheduler);

impl SchedulerCommand {
    /// Seconds have no place in the text; they are left out.
    pub fn encode(&self) -> String {
        match self {
            SchedulerCommand::Schedule { instance, start, end } => {
                format!(
                    "schedule app${instance}${}${}",
                    start.strftime(FORMAT),
                    end.strftime(FORMAT)
                )
            }
        }
    }

    pub fn decode(text: &str) -> Result<Self, TextError> {
        let (verb, payload) = text::split(text);
        match verb {
            "schedule app" => {
                let mut fields = payload.splitn(3, '$');
                let instance = text::instance(fields.next().unwrap_or_default())?;
                let start = time(fields.next().unwrap_or_default())?;
                let end = time(fields.next().unwrap_or_default())?;
                Ok(SchedulerCommand::Schedule { instance, start, end })
            }
            _ => Err(TextError::UnknownKind),
        }
    }

    /// Names the kind where requests are told apart.
    pub fn kind(&self) -> &'static str {
        match self {
            SchedulerCommand::Schedule { .. } => "schedule-app",
        }
    }
}

fn time(text: &str) -> Result<DateTime, TextError> {
    DateTime::strptime(FORMAT, text)
        .ok()
        .filter(|time| time.strftime(FORMAT).to_string() == text)
        .ok_or_else(|| malformed(format!("{:?} is no time YYYY-MM-DDTHH:MM", Excerpt(text))))
}
