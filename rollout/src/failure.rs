//! [`Failure`]: which step failed on which machine, why, and what to do about it.

mod cause;

use std::fmt;

use common::failure::{self, FailureCode};
use common::name::NodeName;
use common::port::Cause;

pub(crate) use cause::Why;

/// What kind of failure it is. Each has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Nobody listens there, or not in time.
    MachineUnreachable,
    /// Another machine, another system on it, or somebody in between: it is left alone.
    HostKeyChanged,
    /// Its agent trusts another authority: it is left to that one's platform.
    NodeForeign,
    /// Neither the platform's key nor the credential of the file lets us in.
    SignInRefused,
    /// Who signs in may not become root.
    SudoRefused,
    InsufficientStorage,
    DockerTooOld,
    /// There is no engine, and no way to install one.
    DockerAbsent,
    /// The machine's clock is so far off that certificates and tokens would not hold.
    ClockOff,
    /// Somebody else listens where the agent should.
    PortTaken,
    /// The backend gives no further machine, or not of this size.
    MachineQuota,
    /// The backend of machines does not let us.
    MachineCredentials,
    /// The backend of machines cannot or will not.
    MachineRefused,
    /// An image is missing where it should come from.
    ImageUnavailable,
    /// The agent runs and does not answer.
    AgentSilent,
    /// A part does not become ready.
    PartNotReady,
    /// A newer lifecycle manager has spoken: nothing is left to do here.
    Superseded,
    /// A command on the machine failed.
    StepFailed,
    DeadlineExceeded,
    /// The description of the platform lacks what the step needs.
    DescriptionIncomplete,
}

impl Code {
    /// As people, logs and programs know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::MachineUnreachable => "MACHINE_UNREACHABLE",
            Code::HostKeyChanged => "HOST_KEY_CHANGED",
            Code::NodeForeign => "NODE_FOREIGN",
            Code::SignInRefused => "SIGN_IN_REFUSED",
            Code::SudoRefused => "SUDO_REFUSED",
            Code::InsufficientStorage => FailureCode::InsufficientStorage.as_str(),
            Code::DockerTooOld => "DOCKER_TOO_OLD",
            Code::DockerAbsent => "DOCKER_ABSENT",
            Code::ClockOff => "CLOCK_OFF",
            Code::PortTaken => FailureCode::PortTaken.as_str(),
            Code::MachineQuota => "MACHINE_QUOTA",
            Code::MachineCredentials => "MACHINE_CREDENTIALS",
            Code::MachineRefused => "MACHINE_REFUSED",
            Code::ImageUnavailable => FailureCode::ImageUnavailable.as_str(),
            Code::AgentSilent => "AGENT_SILENT",
            Code::PartNotReady => "PART_NOT_READY",
            Code::Superseded => FailureCode::Superseded.as_str(),
            Code::StepFailed => "STEP_FAILED",
            Code::DeadlineExceeded => FailureCode::DeadlineExceeded.as_str(),
            Code::DescriptionIncomplete => "DESCRIPTION_INCOMPLETE",
        }
    }

    /// The nearest code of the closed list, for records.
    fn closed(self) -> FailureCode {
        match self {
            Code::InsufficientStorage => FailureCode::InsufficientStorage,
            Code::PortTaken => FailureCode::PortTaken,
            Code::ImageUnavailable => FailureCode::ImageUnavailable,
            Code::Superseded => FailureCode::Superseded,
            Code::DeadlineExceeded => FailureCode::DeadlineExceeded,
            Code::PartNotReady => FailureCode::HealthTimeout,
            Code::MachineUnreachable
            | Code::HostKeyChanged
            | Code::NodeForeign
            | Code::SignInRefused
            | Code::SudoRefused
            | Code::DockerTooOld
            | Code::DockerAbsent
            | Code::ClockOff
            | Code::MachineQuota
            | Code::MachineCredentials
            | Code::MachineRefused
            | Code::AgentSilent => FailureCode::NodeUnavailable,
            Code::StepFailed | Code::DescriptionIncomplete => FailureCode::Internal,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {step}: {message}")]
pub struct Failure {
    pub code: Code,
    pub machine: NodeName,
    /// The step's sentence.
    pub step: String,
    /// One clause: why.
    pub message: String,
    /// One sentence: what to do about it.
    pub hint: String,
    retryable: bool,
    #[source]
    source: Option<Cause>,
}

impl Failure {
    pub(crate) fn of(machine: &NodeName, step: impl fmt::Display, why: Why) -> Self {
        let Why { code, message, hint, retryable, source } = why;
        let (machine, step) = (machine.clone(), step.to_string());
        Failure { code, machine, step, message, hint, retryable, source }
    }

    /// Whether the same step may work later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Whether the machine must be left alone until an operator has looked at it.
    pub fn is_quarantine(&self) -> bool {
        self.code == Code::HostKeyChanged
    }

    /// Whether a newer lifecycle manager keeps the platform from here: success for who only begins it.
    pub fn is_superseded(&self) -> bool {
        self.code == Code::Superseded
    }

    /// As records and messages hold it.
    pub fn told(&self) -> failure::Failure {
        let Failure { step, message, hint, .. } = self;
        let message = format!("{}: {step}: {message}; {hint}", self.code);
        failure::Failure::new(self.code.closed(), message)
    }
}
