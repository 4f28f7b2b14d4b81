//! How a command fails: an exit code, a sentence, a hint.

use std::io::Write as _;
use std::process::ExitCode;

use common::port::bus;
use common::problem::Problem;
use serde_json::json;

/// What was typed makes no sense.
pub(crate) const USAGE: u8 = 2;
/// The platform, or the bus, cannot be reached.
const UNREACHABLE: u8 = 3;
/// The platform does not know who asks, or does not let them.
const FORBIDDEN: u8 = 4;
/// There is no such thing.
const NOT_FOUND: u8 = 5;
/// The request was taken and failed: the app did not run, the scale was not reached.
const FAILED: u8 = 6;
/// The request was taken and is not done within the time one waits.
const TIMED_OUT: u8 = 7;

/// A failure that has an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("the platform at {server} cannot be reached")]
    Unreachable {
        server: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the brokers {brokers} cannot be reached")]
    BusUnreachable {
        brokers: String,
        #[source]
        source: bus::Error,
    },
    #[error("you are not signed in")]
    SignedOut,
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(Box<Problem>),
    /// The platform took the request and could not do it.
    #[error("{code}: {message}")]
    Request { code: String, message: String, hint: Option<String>, output: Vec<String> },
    #[error("{what} is not done yet")]
    TimedOut { what: String, hint: String },
    /// As after `| head`: whoever wanted the answer has enough of it.
    #[error("nobody reads the answer any more")]
    NobodyReads,
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::NobodyReads => 0,
            Failure::Usage(_) => USAGE,
            Failure::Unreachable { .. } | Failure::BusUnreachable { .. } => UNREACHABLE,
            Failure::SignedOut => FORBIDDEN,
            Failure::Refused(problem) => match problem.status {
                401 | 403 => FORBIDDEN,
                404 => NOT_FOUND,
                _ => 1,
            },
            Failure::Request { .. } => FAILED,
            Failure::TimedOut { .. } => TIMED_OUT,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Failure::Usage(_) | Failure::NobodyReads => None,
            Failure::Unreachable { .. } => Some(
                "is the platform running? `make cluster` starts it; --server names another"
                    .to_owned(),
            ),
            Failure::BusUnreachable { .. } => Some(
                "is Kafka running? `make cluster` starts it; --brokers names others".to_owned(),
            ),
            Failure::SignedOut => Some("run `avishkar login`".to_owned()),
            Failure::Refused(problem) if problem.status == 401 => {
                Some("run `avishkar login`".to_owned())
            }
            Failure::Refused(problem) => problem.hint.clone(),
            Failure::Request { hint, .. } => hint.clone(),
            Failure::TimedOut { hint, .. } => Some(hint.clone()),
        }
    }

    /// The stable code that the platform gave, and the app's last lines.
    fn told(&self) -> (Option<&str>, &[String]) {
        match self {
            Failure::Refused(problem) => (Some(&problem.code), &[]),
            Failure::Request { code, output, .. } => (Some(code), output),
            Failure::Usage(_)
            | Failure::Unreachable { .. }
            | Failure::BusUnreachable { .. }
            | Failure::SignedOut
            | Failure::TimedOut { .. }
            | Failure::NobodyReads => (None, &[]),
        }
    }
}

/// Says what went wrong on standard error and gives the exit code.
pub(crate) fn report(err: &anyhow::Error, json: bool) -> ExitCode {
    let failure = err.downcast_ref::<Failure>();
    let exit_code = failure.map_or(1, Failure::exit_code);
    if exit_code == 0 {
        return ExitCode::SUCCESS;
    }
    let hint = failure.and_then(Failure::hint);
    let (code, output) = failure.map_or((None, &[][..]), Failure::told);
    let mut stderr = std::io::stderr().lock();
    let written = if json {
        let error = format!("{err:#}");
        let body = json!({
            "error": error, "code": code, "hint": hint, "output": output, "exit_code": exit_code,
        });
        writeln!(stderr, "{body}")
    } else {
        let said = output.iter().try_for_each(|line| writeln!(stderr, "  | {line}"));
        said.and_then(|()| writeln!(stderr, "error: {err:#}"))
            .and_then(|()| hint.iter().try_for_each(|hint| writeln!(stderr, "hint: {hint}")))
    };
    // Nobody reads standard error: the exit code still tells.
    drop(written);
    ExitCode::from(exit_code)
}
