//! How a command's refusal looks over HTTP: status, code, sentence, hint. The one place with status codes.

mod models;

use std::error::Error as _;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use chassis::http::Refusal;
use chassis::{blocking, records};
use common::port::{blobs, store};
use common::problem::Problem;

use crate::bundle::{self, archive, detect, manifest};
use crate::commands::Error;
use crate::domain::{schedule, settings};
use crate::people::password;

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(super) problem: Box<Problem>,
    retry_after: Option<Duration>,
    /// The rest of the request's body is not read.
    closes: bool,
}

impl ApiError {
    pub(super) fn new(problem: Problem) -> Self {
        ApiError { problem: Box::new(problem), retry_after: None, closes: false }
    }

    pub(super) fn internal() -> Self {
        ApiError::new(Refusal::internal().0)
    }

    /// Ends the connection after the answer.
    #[must_use]
    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// 422 about one field of the request.
    pub(super) fn field(field: &str, code: &str, detail: impl Into<String>) -> Self {
        let title = "A field of the request is not what it should be";
        ApiError::new(Problem::new(422, code, title, detail).field(field))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem.code, self.problem.detail)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = Refusal(self.problem.as_ref().clone()).error_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.closes {
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        }
        response
    }
}

impl From<Error> for ApiError {
    fn from(err: Error) -> Self {
        let problem = problem(&err);
        if problem.status >= 500 {
            tracing::error!(
                error = &err as &dyn std::error::Error,
                code = problem.code,
                "a request failed"
            );
        }
        let wait = if let Error::TooManyAttempts(wait) = err { Some(wait) } else { None };
        ApiError { retry_after: wait, ..ApiError::new(problem) }
    }
}

impl From<records::Error> for ApiError {
    fn from(err: records::Error) -> Self {
        Error::Records(err).into()
    }
}

impl From<store::Error> for ApiError {
    fn from(err: store::Error) -> Self {
        Error::from(err).into()
    }
}

fn problem(err: &Error) -> Problem {
    let say = |status, code: &str, title: &str| Problem::new(status, code, title, err.to_string());
    match err {
        Error::AppUnknown => say(404, "APP_UNKNOWN", "There is no such app")
            .hint("see what there is with GET /api/v1/apps"),
        Error::ReleaseUnknown => say(422, "RELEASE_UNKNOWN", "There is no such release")
            .hint("upload a bundle first, or see the app's releases"),
        Error::ReleaseNotKept | Error::NothingToRollBackTo => rollback_problem(err),
        Error::NoCanary | Error::Canary(_) => canary_problem(err),
        Error::InstanceUnknown => say(404, "UNKNOWN_INSTANCE", "There is no such instance")
            .hint("see what is deployed with GET /api/v1/instances"),
        Error::RequestUnknown => say(404, "REQUEST_UNKNOWN", "There is no such request"),
        Error::TopicUnknown => say(404, "TOPIC_UNKNOWN", "There is no such topic")
            .hint("docs/messages.md lists the topics; their dead letters are in <topic>.dlq"),
        Error::NameTaken => say(409, "NAME_TAKEN", "The name is taken").hint("choose another name"),
        Error::NameUnfit => say(422, "NAME_INVALID", "The name does not fit").field("instance"),
        Error::VersionExists { .. } => say(409, "VERSION_EXISTS", "The app has changed since")
            .hint("look at its releases, and decide again"),
        Error::NotDeployed => {
            say(409, "NOT_DEPLOYED", "The instance is not deployed").hint("deploy it first")
        }
        Error::ScheduleUnknown => say(404, "SCHEDULE_UNKNOWN", "There is no such schedule")
            .hint("see what is scheduled with GET /api/v1/schedules"),
        Error::ScheduleChanged => say(409, "SCHEDULE_CHANGED", "The schedule has changed since")
            .hint("look at it, and decide again"),
        Error::Schedule(source) => schedule_problem(source),
        Error::ImageNotAllowed(_) => say(422, "IMAGE_NOT_ALLOWED", "The image is not allowed")
            .field("image")
            .hint("name it by digest, from a registry in the setting apps.image_registries"),
        Error::IdempotencyMismatch => {
            say(422, "IDEMPOTENCY_MISMATCH", "The id stands for another request")
                .hint("send a new Idempotency-Key with a new request")
        }
        Error::WrongCredentials => say(401, "CREDENTIALS_WRONG", "Signing in failed"),
        Error::TooManyAttempts(_) => say(429, "TOO_MANY_ATTEMPTS", "Too many attempts")
            .hint("wait as long as Retry-After says"),
        Error::PasswordUnfit => say(422, "PASSWORD_INVALID", "The password cannot be chosen")
            .field("password")
            .hint(format!("take {} to {} characters", password::SHORTEST, password::LONGEST)),
        Error::TokenWrong => say(401, "ONE_TIME_TOKEN_WRONG", "The one-time token is not valid")
            .hint("it stands in the file one-time-token of the app manager's data folder"),
        Error::Setting { field, source } => setting(source, "FIELD_INVALID").field(field),
        Error::ReplicasOutOfBounds(_) => out_of_bounds(err),
        Error::Bundle(source) => bundle_problem(source),
        Error::DigestMismatch => truncated("the bytes that arrived do not have the digest sent"),
        Error::Busy => say(503, "BUSY", "Too much is asked at once").hint("try again in a moment"),
        Error::TooMuchOwed | Error::Bus(_) => {
            Refusal::unavailable("BUS_UNAVAILABLE", err.to_string()).0
        }
        Error::Records(source) => record_problem(source),
        Error::Blobs(source) => blob_problem(source),
        Error::File(source) if is_full(source.kind()) => no_space(),
        Error::Blocking(blocking::Error::DeadlineExceeded) => {
            Refusal::unavailable("BUSY", "the machine is too busy").0
        }
        Error::File(_)
        | Error::Password(_)
        | Error::Token(_)
        | Error::Blocking(blocking::Error::BrokeOff) => Refusal::internal().0,
    }
}

fn out_of_bounds(err: &Error) -> Problem {
    let title = "The app's bounds do not allow that many replicas";
    Problem::new(422, "REPLICAS_OUT_OF_BOUNDS", title, err.to_string())
        .field("replicas")
        .hint("ask for a number within scaling.min and scaling.max of its avishkar.toml")
}

/// Why there is no canary, or will be none.
fn canary_problem(err: &Error) -> Problem {
    let say = |status, code: &str, title: &str| Problem::new(status, code, title, err.to_string());
    if matches!(err, Error::NoCanary) {
        say(409, "NO_CANARY", "There is no canary")
            .hint("deploy a release beside what is served first, with a share of the requests")
    } else {
        say(422, "CANARY_INVALID", "The canary's share is refused")
            .field("canary")
            .hint("say how many of a hundred requests it gets: 10")
    }
}

/// Why nothing was gone back to.
fn rollback_problem(err: &Error) -> Problem {
    let say = |code: &str, title: &str| Problem::new(409, code, title, err.to_string());
    if matches!(err, Error::ReleaseNotKept) {
        say("RELEASE_NOT_KEPT", "The release is not kept")
            .field("release")
            .hint("see what is with GET /api/v1/instances/{name}/releases, or deploy it")
    } else {
        say("NOTHING_TO_ROLL_BACK_TO", "There is nothing to go back to")
            .hint("name one of GET /api/v1/instances/{name}/releases, or deploy")
    }
}

pub(super) fn truncated(detail: &str) -> Problem {
    Problem::new(400, "UPLOAD_TRUNCATED", "The upload did not arrive whole", detail)
        .hint("send it again")
}

pub(super) fn no_space() -> Problem {
    let detail = "the platform has no space left for bundles";
    Problem::new(507, "INSUFFICIENT_STORAGE", "There is no space left", detail)
        .hint("ask an admin to free space")
}

pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What is wrong with a schedule: nothing was recorded, and here is what to change.
fn schedule_problem(err: &schedule::Error) -> Problem {
    use schedule::Error as E;
    let say = |code: &str| Problem::new(422, code, "The schedule cannot be kept", err.to_string());
    match err {
        E::ZoneUnknown(_) => say("TIME_ZONE_UNKNOWN")
            .field("zone")
            .hint("name it as the IANA database does: Europe/Berlin, America/New_York, UTC"),
        E::CronInvalid(_) => say("CRON_INVALID")
            .field("expression")
            .hint("write minute, hour, day of the month, month, day of the week: 0 9 * * MON-FRI"),
        E::NeverFires(_) => say("SCHEDULE_NEVER_FIRES").hint("name days and times that will come"),
        E::EndBeforeStart { .. } => {
            say("SCHEDULE_END_BEFORE_START").hint("say an end that comes after the start")
        }
        E::InPast(_) => say("SCHEDULE_IN_PAST").hint(
            "say a time that is still to come, and look at the time zone; to run it now, deploy it",
        ),
        E::TooOften { .. } => {
            say("SCHEDULE_TOO_OFTEN").hint("leave at least 5 minutes between two starts")
        }
        E::Overlaps { .. } => {
            say("SCHEDULE_OVERLAPS").hint("make it shorter, or start it less often")
        }
    }
}

fn record_problem(err: &records::Error) -> Problem {
    match err {
        records::Error::Store(store::Error::Refused(_)) | records::Error::Unreadable { .. } => {
            Refusal::internal().0
        }
        records::Error::Changed
        | records::Error::Store(
            store::Error::Conflict { .. }
            | store::Error::Unavailable(_)
            | store::Error::OutcomeUnknown(_),
        ) => Refusal::unavailable("STORE_UNAVAILABLE", "the store does not answer").0,
    }
}

fn blob_problem(err: &blobs::Error) -> Problem {
    match err {
        blobs::Error::Full(_) => no_space(),
        blobs::Error::Unavailable(_) => {
            Refusal::unavailable("STORAGE_UNAVAILABLE", "bundles cannot be stored now").0
        }
        blobs::Error::Mismatch { .. } => truncated("the bytes changed on their way"),
        blobs::Error::Absent(_) => Refusal::internal().0,
    }
}

/// A setting that is refused; `code` is for those without one of their own.
fn setting(err: &settings::Error, code: &str) -> Problem {
    let title = "A setting is not what it should be";
    let code = match err {
        settings::Error::PortInvalid => "PORT_INVALID",
        settings::Error::PortReserved(_) => "PORT_RESERVED",
        settings::Error::Environment(_) => "ENV_INVALID",
        settings::Error::ZoneUnknown(_) => "TIME_ZONE_UNKNOWN",
        settings::Error::NeverHolds(_) => "SCHEDULE_NEVER_FIRES",
        settings::Error::Invalid(_) => code,
    };
    Problem::new(422, code, title, err.to_string())
}

fn bundle_problem(err: &bundle::Error) -> Problem {
    let say = |code: &str, title: &str| Problem::new(422, code, title, err.to_string());
    match err {
        bundle::Error::Archive(source) => archive_problem(source),
        bundle::Error::Manifest(source) => {
            let detail = match source.why.source() {
                Some(cause) => format!("{source}: {cause}"),
                None => source.to_string(),
            };
            let problem = match &source.why {
                manifest::Why::UnknownField(_) => say("MANIFEST_UNKNOWN_FIELD", MANIFEST),
                manifest::Why::Invalid(_) => say("MANIFEST_INVALID", MANIFEST),
                manifest::Why::ModelName(_) => say("MODEL_NAME_INVALID", MANIFEST),
                manifest::Why::Setting(setting_error) => setting(setting_error, "MANIFEST_INVALID"),
            };
            Problem { detail, ..problem }.hint(
                "its keys: name, port, health, env, memory, cpus, replicas, placement, scaling, edge, \
                 read_only, model",
            )
        }
        bundle::Error::Model(source) => models::problem(source),
        bundle::Error::AppJson(source) if source.is_unknown_field() => {
            say("MANIFEST_UNKNOWN_FIELD", MANIFEST)
        }
        bundle::Error::AppJson(_)
        | bundle::Error::ManifestTooLarge { .. }
        | bundle::Error::Detect(detect::Error::Package(_)) => say("MANIFEST_INVALID", MANIFEST),
        bundle::Error::Dockerfile(_) => {
            say("DOCKERFILE_FORBIDDEN", "A bundle brings no Dockerfile of its own").hint(
                "leave it out: the platform writes one from requirements.txt, package.json or \
                 index.html; say how the app starts in a Procfile",
            )
        }
        bundle::Error::Detect(detect::Error::Procfile(_)) => {
            say("PROCFILE_INVALID", "The Procfile is not understood")
                .hint("write: web: <program> <words>; only $NAME is substituted, there is no shell")
        }
        bundle::Error::Detect(detect::Error::Unrecognised(_)) => say(
            "BUNDLE_UNRECOGNISED",
            "It is not seen how this app is built",
        )
        .hint(
            "put one of these at the top: requirements.txt, pyproject.toml or main.py (Python), \
                 package.json (Node), index.html (static site); a Procfile says how the app starts",
        ),
    }
}

const MANIFEST: &str = "What the bundle says about itself is not understood";

fn archive_problem(err: &archive::Error) -> Problem {
    let title = "The archive is not accepted";
    let code = match err {
        archive::Error::PathEscape(_) => "ARCHIVE_PATH_ESCAPE",
        archive::Error::EntryForbidden(_) => "ARCHIVE_ENTRY_FORBIDDEN",
        archive::Error::TooLarge(_) | archive::Error::OutOfTime => "ARCHIVE_TOO_LARGE",
        archive::Error::TooManyEntries(_) => "ARCHIVE_TOO_MANY_ENTRIES",
        archive::Error::Malformed(_) => "ARCHIVE_MALFORMED",
        archive::Error::Unreadable(_) => return Refusal::internal().0,
    };
    Problem::new(422, code, title, err.to_string())
}
