//! What ports say when they fail, as the reason of a failed step.

use common::failure::FailureCode;
use common::port::host::{self, Output};
use common::port::{Cause, authority, images, machines, nodes};

use super::Code;
use crate::parts::Incomplete;

/// Why a step failed, without the step.
#[derive(Debug)]
pub(crate) struct Why {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: String,
    pub(crate) retryable: bool,
    pub(crate) source: Option<Cause>,
}

impl Why {
    /// Nothing changes by itself.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Why { code, message, hint, retryable: false, source: None }
    }

    #[must_use]
    pub(crate) fn but_later(self) -> Self {
        Why { retryable: true, ..self }
    }

    #[must_use]
    pub(crate) fn because(self, source: impl Into<Cause>) -> Self {
        Why { source: Some(source.into()), ..self }
    }

    /// A command on a machine that ended otherwise than with 0.
    pub(crate) fn command(program: &str, output: &Output) -> Self {
        let complaint = output.complaint();
        // The C library and Go spell it differently.
        let full = complaint.to_ascii_lowercase().contains("no space left on device");
        let hint = format!("run `{program}` on the machine to see what it lacks");
        if full {
            return Why::new(Code::InsufficientStorage, complaint, "make room on the machine");
        }
        Why::new(Code::StepFailed, format!("{program} failed: {complaint}"), hint)
    }

    /// The description lacks something that a step needs.
    pub(crate) fn incomplete(message: impl Into<String>) -> Self {
        Why::new(Code::DescriptionIncomplete, message, "complete the description of the platform")
    }

    /// What the caller wrote down of a step could not be written.
    pub(crate) fn journal(source: Cause) -> Self {
        let message = "what was done could not be written down";
        let hint = "see whether the folder of the records can be written";
        Why::new(Code::StepFailed, message, hint).because(source)
    }
}

impl From<host::Error> for Why {
    fn from(err: host::Error) -> Self {
        let code = match &err {
            host::Error::Unreachable { .. }
            | host::Error::ConnectTimeout { .. }
            | host::Error::SessionsExhausted { .. }
            | host::Error::ConnectionLost { .. } => Code::MachineUnreachable,
            host::Error::HostKeyChanged { .. } => Code::HostKeyChanged,
            host::Error::AuthRefused { .. } | host::Error::CredentialUnusable { .. } => {
                Code::SignInRefused
            }
            host::Error::NoSudo { .. } => Code::SudoRefused,
            host::Error::DiskFull { .. } => Code::InsufficientStorage,
            host::Error::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            host::Error::Source { .. } => Code::ImageUnavailable,
            host::Error::OutputTooLarge { .. }
            | host::Error::File { .. }
            | host::Error::FileTooLarge { .. }
            | host::Error::Unfit(_) => Code::StepFailed,
        };
        let late = matches!(err, host::Error::DeadlineExceeded { .. });
        let retryable = err.is_retryable() || late;
        let why = Why { retryable, ..Why::new(code, err.to_string(), err.hint()) };
        why.because(err)
    }
}

impl From<machines::Error> for Why {
    fn from(err: machines::Error) -> Self {
        if let machines::Error::Machine { source, .. } = err {
            return source.into();
        }
        let code = match &err {
            machines::Error::Quota { .. } => Code::MachineQuota,
            machines::Error::CredentialsRefused(_) => Code::MachineCredentials,
            machines::Error::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            machines::Error::Unavailable(_)
            | machines::Error::NotFound(_)
            | machines::Error::Cannot { .. }
            | machines::Error::InUse { .. }
            | machines::Error::Machine { .. }
            | machines::Error::Refused(_) => Code::MachineRefused,
        };
        let retryable = err.is_retryable();
        let why = Why { retryable, ..Why::new(code, err.to_string(), err.hint()) };
        why.because(err)
    }
}

impl From<images::Error> for Why {
    fn from(err: images::Error) -> Self {
        let hint = match &err {
            images::Error::NotFound(_) => "make the platform's images first",
            images::Error::Unavailable(_) => "see whether the engine that has the images runs",
        };
        Why::new(Code::ImageUnavailable, err.to_string(), hint).because(err)
    }
}

impl From<authority::Error> for Why {
    fn from(err: authority::Error) -> Self {
        let hint = "see whether the authority's files are whole";
        Why::new(Code::StepFailed, err.to_string(), hint).because(err)
    }
}

impl From<nodes::Error> for Why {
    fn from(err: nodes::Error) -> Self {
        let (code, message, hint) = match &err {
            nodes::Error::Unreachable { .. } => (
                Code::AgentSilent,
                err.to_string(),
                "see what the agent's container says: docker logs avishkar-agent",
            ),
            nodes::Error::StaleEpoch { .. } => {
                let message = "a newer lifecycle manager has spoken to the node".to_owned();
                (Code::Superseded, message, "ask the lifecycle manager from now on")
            }
            nodes::Error::Failed { failure, .. } => {
                let message = match failure.output.last() {
                    Some(last) => format!("{}: {last}", failure.message),
                    None => failure.message.clone(),
                };
                (
                    of_agent(failure.code),
                    message,
                    "see what the part says: docker logs on its machine",
                )
            }
        };
        let retryable = err.is_retryable();
        let why = Why { retryable, ..Why::new(code, message, hint) };
        why.because(err)
    }
}

impl From<Incomplete> for Why {
    fn from(err: Incomplete) -> Self {
        Why::incomplete(err.to_string()).because(err)
    }
}

/// What an agent's refusal is here.
fn of_agent(code: FailureCode) -> Code {
    let pairs = [
        (FailureCode::InsufficientStorage, Code::InsufficientStorage),
        (FailureCode::PortTaken, Code::PortTaken),
        (FailureCode::ImageUnavailable, Code::ImageUnavailable),
        (FailureCode::DeadlineExceeded, Code::DeadlineExceeded),
        (FailureCode::CrashLoop, Code::PartNotReady),
    ];
    let found = pairs.into_iter().find(|(said, _)| *said == code);
    found.map_or(Code::StepFailed, |(_, here)| here)
}
