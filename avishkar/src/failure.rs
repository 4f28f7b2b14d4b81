//! How a command fails: an exit code, a sentence, a hint. The exit codes stand in `docs/exit-codes.md`.

mod obstacle;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use adapters::embedded;
use bootstrapper::{Trouble, file};
use chassis::http::BindError;
use common::port::{Cause, bus, containers};
use common::problem::Problem;
use serde_json::json;

pub(crate) use self::obstacle::{Obstacle, accept_restore, who_listens};

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
/// `doctor`, or `status` of the platform, found something that fails.
const UNFIT: u8 = 8;

/// What to do where nobody answers.
pub(crate) const IS_IT_RUNNING: &str =
    "is the platform running? `avishkar up` or `make cluster` starts it; --server names another";

/// A failure that has an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    /// The words of a command line make no command.
    #[error("{sentence}")]
    Typed { sentence: String, hint: String },
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
    /// A description of a platform that makes no sense.
    #[error("{} cannot be used: {} found", .file.display(), counted(.problems.len(), "mistake"))]
    PlatformFile { file: PathBuf, problems: Vec<file::Problem> },
    /// Steps on machines failed.
    #[error("{what}: {} failed", counted(.troubles.len(), "step"))]
    Bootstrap { what: &'static str, troubles: Vec<Trouble> },
    /// The platform took the request and could not do it.
    #[error("{code}: {message}")]
    Request { code: String, message: String, hint: Option<String>, output: Vec<String> },
    #[error("{what} is not done yet")]
    TimedOut { what: String, hint: String },
    #[error("{failing} of {checks} checks failed")]
    Unfit { failing: usize, checks: usize, hint: Option<&'static str> },
    /// The platform cannot start on this machine as it is.
    #[error("{}: {sentence}", .obstacle.code())]
    Obstacle { obstacle: Obstacle, sentence: String, advice: String, source: Option<Cause> },
    /// The folder of bus and store failed in a way that has no code.
    #[error(transparent)]
    Folder(embedded::Error),
    #[error(transparent)]
    Listener(BindError),
    /// This machine's container engine did not do what the platform itself needs.
    #[error(transparent)]
    Engine(containers::Error),
    #[error("there is no image {image} on this machine")]
    EdgeImage { image: String },
    /// The process in the background ended, and told this.
    #[error("{words}")]
    Ended { exit_code: u8, words: String, code: Option<String>, hint: Option<String> },
    /// As after `| head`: whoever wanted the answer has enough of it.
    #[error("nobody reads the answer any more")]
    NobodyReads,
}

impl Failure {
    /// What was typed or configured makes no sense, with every cause.
    pub(crate) fn usage(err: &dyn std::error::Error) -> Self {
        let mut text = err.to_string();
        let mut source = err.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Failure::Usage(text)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::NobodyReads => 0,
            Failure::Usage(_) | Failure::Typed { .. } | Failure::PlatformFile { .. } => USAGE,
            Failure::Unreachable { .. } | Failure::BusUnreachable { .. } => UNREACHABLE,
            Failure::SignedOut => FORBIDDEN,
            Failure::Refused(problem) => match problem.status {
                401 | 403 => FORBIDDEN,
                404 => NOT_FOUND,
                _ => 1,
            },
            Failure::Request { .. } | Failure::Bootstrap { .. } => FAILED,
            Failure::TimedOut { .. } => TIMED_OUT,
            Failure::Unfit { .. } => UNFIT,
            Failure::Obstacle { obstacle, .. } => obstacle.exit_code(),
            Failure::Ended { exit_code, .. } => *exit_code,
            Failure::Folder(_)
            | Failure::Listener(_)
            | Failure::Engine(_)
            | Failure::EdgeImage { .. } => 1,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Failure::Usage(_)
            | Failure::NobodyReads
            | Failure::Folder(_)
            | Failure::Engine(_)
            | Failure::Listener(_) => None,
            Failure::Unfit { hint, .. } => hint.map(str::to_owned),
            Failure::PlatformFile { .. } => {
                Some("config/platform.toml is the manual of this file".to_owned())
            }
            Failure::Bootstrap { .. } => Some(
                "put right what is said, then do the same again: what is done is left alone"
                    .to_owned(),
            ),
            Failure::EdgeImage { .. } => Some("`make images` makes it".to_owned()),
            Failure::Unreachable { .. } => Some(IS_IT_RUNNING.to_owned()),
            Failure::BusUnreachable { .. } => Some(
                "is Kafka running? `make cluster` starts it; --brokers names others".to_owned(),
            ),
            Failure::SignedOut => Some("run `avishkar login`".to_owned()),
            Failure::Refused(problem) if problem.status == 401 => {
                Some("run `avishkar login`".to_owned())
            }
            Failure::Refused(problem) => problem.hint.clone(),
            Failure::Request { hint, .. } | Failure::Ended { hint, .. } => hint.clone(),
            Failure::Typed { hint, .. } | Failure::TimedOut { hint, .. } => Some(hint.clone()),
            Failure::Obstacle { advice, .. } => Some(advice.clone()),
        }
    }

    /// What has several causes: each for programs, and each for people.
    fn causes(&self) -> Option<(serde_json::Value, Vec<String>)> {
        if let Failure::PlatformFile { problems, .. } = self {
            return Some((json!(problems), problems.iter().map(ToString::to_string).collect()));
        }
        if let Failure::Bootstrap { troubles, .. } = self {
            return Some((json!(troubles), troubles.iter().map(ToString::to_string).collect()));
        }
        None
    }

    /// The stable code that the platform gave, and the app's last lines.
    fn told(&self) -> (Option<&str>, &[String]) {
        match self {
            Failure::Refused(problem) => (Some(&problem.code), &[]),
            Failure::Request { code, output, .. } => (Some(code), output),
            Failure::Obstacle { obstacle, .. } => (Some(obstacle.code()), &[]),
            Failure::Ended { code, .. } => (code.as_deref(), &[]),
            Failure::Bootstrap { troubles, .. } => {
                (troubles.first().map(|trouble| trouble.code), &[])
            }
            Failure::Usage(_)
            | Failure::PlatformFile { .. }
            | Failure::Typed { .. }
            | Failure::Unreachable { .. }
            | Failure::BusUnreachable { .. }
            | Failure::SignedOut
            | Failure::TimedOut { .. }
            | Failure::Unfit { .. }
            | Failure::Folder(_)
            | Failure::Listener(_)
            | Failure::Engine(_)
            | Failure::EdgeImage { .. }
            | Failure::NobodyReads => (None, &[]),
        }
    }
}

/// `1 step`, `2 steps`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
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
    let (causes, lines) = failure.and_then(Failure::causes).unwrap_or_default();
    let output = if lines.is_empty() { output } else { &lines };
    let mut stderr = std::io::stderr().lock();
    let written = if json {
        let error = format!("{err:#}");
        let mut body = json!({
            "error": error, "code": code, "hint": hint, "output": output, "exit_code": exit_code,
        });
        if let (Some(body), false) = (body.as_object_mut(), causes.is_null()) {
            body.insert("causes".to_owned(), causes);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../docs/exit-codes.md");

    /// The rows of the table whose first cell is a number: number and second cell.
    fn documented() -> Vec<(u8, &'static str)> {
        let cells = |line: &'static str| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            Some((cells.next()?.parse().ok()?, cells.next()?))
        };
        TABLE.lines().filter_map(cells).collect()
    }

    #[test]
    fn every_exit_code_is_documented_once_and_none_besides() {
        let named = [
            (0, "-"),
            (1, "-"),
            (USAGE, "-"),
            (UNREACHABLE, "-"),
            (FORBIDDEN, "-"),
            (NOT_FOUND, "-"),
            (FAILED, "-"),
            (TIMED_OUT, "-"),
            (UNFIT, "-"),
        ];
        let obstacles = Obstacle::ALL.map(|obstacle| (obstacle.exit_code(), obstacle.code()));
        let all: Vec<(u8, String)> = named
            .into_iter()
            .chain(obstacles)
            .map(|(number, code)| match code {
                "-" => (number, code.to_owned()),
                code => (number, format!("[`{code}`](errors/{code}.md)")),
            })
            .collect();
        let documented: Vec<(u8, String)> =
            documented().into_iter().map(|(number, code)| (number, code.to_owned())).collect();
        assert_eq!(documented, all);
    }
}
