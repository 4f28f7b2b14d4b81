//! The closed list of reasons for which a request fails.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal,)*) => {
        /// Why a request failed. Each code has a page in `docs/errors/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[$meta])* #[serde(rename = $text)] $variant,)*
        }

        impl FailureCode {
            pub const ALL: &'static [FailureCode] = &[$(FailureCode::$variant,)*];

            /// The code as people, messages and problem documents carry it.
            pub fn as_str(self) -> &'static str {
                match self { $(FailureCode::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// Nothing of this name was ever made.
    AppUnknown = "APP_UNKNOWN",
    /// The app has no release that could be deployed.
    ReleaseUnknown = "RELEASE_UNKNOWN",
    /// The instance is not deployed.
    UnknownInstance = "UNKNOWN_INSTANCE",
    /// No live node has room for one more container.
    NoNodeFits = "NO_NODE_FITS",
    /// The chosen node has no free host port.
    PortsExhausted = "PORTS_EXHAUSTED",
    /// The edge has no free front port.
    FrontPortsExhausted = "FRONT_PORTS_EXHAUSTED",
    /// The bundle looks like no kind of app the platform can build.
    BundleUnrecognised = "BUNDLE_UNRECOGNISED",
    /// The stored bundle is gone or does not have the digest it was stored under.
    BundleUnavailable = "BUNDLE_UNAVAILABLE",
    /// A step of the image build failed.
    BuildFailed = "BUILD_FAILED",
    /// The image build took longer than its deadline.
    BuildTimeout = "BUILD_TIMEOUT",
    /// The image could not be fetched.
    ImageUnavailable = "IMAGE_UNAVAILABLE",
    /// The container's process ended.
    AppExited = "APP_EXITED",
    /// The container took more memory than its limit.
    OomKilled = "OOM_KILLED",
    /// Nothing answered on the announced port in time.
    HealthTimeout = "HEALTH_TIMEOUT",
    /// The container ended five times within ten minutes.
    CrashLoop = "CRASH_LOOP",
    /// Something else listens on the host port.
    PortTaken = "PORT_TAKEN",
    /// The node died or could not be reached in time.
    NodeUnavailable = "NODE_UNAVAILABLE",
    /// The node has no space left on its disk.
    InsufficientStorage = "INSUFFICIENT_STORAGE",
    /// The instance has no canary that could get all requests.
    NoCanary = "NO_CANARY",
    /// More requests failed with the new release than with the one before.
    ErrorsRose = "ERRORS_ROSE",
    /// Another app has a host name that this one asks for.
    HostTaken = "HOST_TAKEN",
    /// The edge does not take what the app's own file would say.
    LbConfRejected = "LB_CONF_REJECTED",
    /// The edge did not take the route.
    RouteFailed = "ROUTE_FAILED",
    /// The wanted number of replicas is 0 or above the limit.
    ReplicasOutOfBounds = "REPLICAS_OUT_OF_BOUNDS",
    /// The request was not finished by its deadline.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The instance would be ended before it is started.
    ScheduleEndBeforeStart = "SCHEDULE_END_BEFORE_START",
    /// What was to be started at a time has no time left: it has passed.
    ScheduleInPast = "SCHEDULE_IN_PAST",
    /// A window passed while nobody could start what was to run in it.
    ScheduleMissed = "SCHEDULE_MISSED",
    /// A newer request for the same instance took its place.
    Superseded = "SUPERSEDED",
    /// The platform has no such service, or none that runs.
    ServiceUnknown = "SERVICE_UNKNOWN",
    /// No node has this name.
    NodeUnknown = "NODE_UNKNOWN",
    /// Too many of a kind look dead, or were to be restarted, at once: an operator has to look.
    RestartHeld = "RESTART_HELD",
    /// It was restarted a moment ago, or too much was.
    RestartTooSoon = "RESTART_TOO_SOON",
    /// There may be no further machine, or nobody can make one.
    MachinesExhausted = "MACHINES_EXHAUSTED",
    /// Another change of the same service, or of the whole platform, is on its way, or the platform is off.
    ChangeUnderway = "CHANGE_UNDERWAY",
    /// The node knows of no such share, or cannot use what it knows of it.
    ShareUnknown = "SHARE_UNKNOWN",
    /// The share cannot be reached, or changed while it was read.
    ShareUnavailable = "SHARE_UNAVAILABLE",
    /// The share does not let the platform in.
    ShareRefused = "SHARE_REFUSED",
    /// What is in the folder of a share is nothing that a service could be built of.
    CodeUnfit = "CODE_UNFIT",
    /// What is in the folder of a share is not the code that was meant.
    CodeMismatch = "CODE_MISMATCH",
    /// The instance is an app of another kind than model.
    NotAModel = "NOT_A_MODEL",
    /// The services of this platform are one process: none is added, removed or stopped by itself.
    SingleProcess = "SINGLE_PROCESS",
    /// A broken invariant inside the platform; the log has the details.
    Internal = "INTERNAL",
}

impl FailureCode {
    /// Whether the same request, sent again later, may succeed without anyone changing the app.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            FailureCode::NoNodeFits
                | FailureCode::PortsExhausted
                | FailureCode::FrontPortsExhausted
                | FailureCode::ImageUnavailable
                | FailureCode::PortTaken
                | FailureCode::NodeUnavailable
                | FailureCode::InsufficientStorage
                | FailureCode::RouteFailed
                | FailureCode::DeadlineExceeded
                | FailureCode::BuildTimeout
                | FailureCode::RestartHeld
                | FailureCode::RestartTooSoon
                | FailureCode::ChangeUnderway
                | FailureCode::ShareUnavailable
        )
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a failure code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a failure code")]
pub struct UnknownCode(pub String);

impl FromStr for FailureCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        FailureCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// A failure as it is stored and told: a code, one human sentence, and the app's last words if it had any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: FailureCode,
    /// One sentence for people, without the code.
    pub message: String,
    /// The app's last lines of output, at most 50 lines and 8 KiB, control characters escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

impl Failure {
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), output: Vec::new() }
    }
}

/// An app's last words as [`Failure::output`] holds them: the last 50 lines, at most 8 KiB in all,
/// control characters escaped.
pub fn last_words<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Vec<String> {
    let mut room = LAST_WORDS_BYTES;
    let mut kept = Vec::new();
    for line in lines.rev().take(LAST_WORDS_LINES) {
        let escaped: String = line.trim_end().chars().flat_map(escaped).collect();
        if escaped.len() > room {
            if kept.is_empty() {
                kept.push(escaped.chars().take(room / 4).collect());
            }
            break;
        }
        room -= escaped.len();
        kept.push(escaped);
    }
    kept.reverse();
    kept
}

const LAST_WORDS_LINES: usize = 50;
const LAST_WORDS_BYTES: usize = 8 * 1024;

/// Everything that could move a cursor, or turn text around, is shown instead of done.
fn escaped(letter: char) -> impl Iterator<Item = char> {
    let harmful = letter.is_control()
        || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = (!harmful).then_some(letter);
    let shown = harmful.then(|| letter.escape_unicode());
    kept.into_iter().chain(shown.into_iter().flatten())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_lines_and_harmless() {
        let lines: Vec<String> = (0..80).map(|n| format!("line {n}")).collect();
        let kept = last_words(lines.iter().map(String::as_str));
        assert_eq!(kept.len(), 50);
        assert_eq!(kept.last().map(String::as_str), Some("line 79"));
        let kept = last_words(["\u{1b}[31mred\u{7}\n"].into_iter());
        assert_eq!(kept, ["\\u{1b}[31mred\\u{7}"]);
    }

    #[test]
    fn last_words_have_a_bound_in_bytes() {
        let long = "x".repeat(5000);
        assert_eq!(last_words([long.as_str(), long.as_str()].into_iter()).len(), 1);
    }
}
