//! Receiving a bundle: straight to a staging file, counted and hashed as it arrives.

use std::sync::Arc;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use common::digest::Digest;
use common::problem::Problem;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

use super::problems::{ApiError, is_full, no_space, truncated};
use crate::commands::Error;
use crate::commands::release::{Made, Upload};
use crate::context::Context;
use crate::staging::Staged;

/// What a multipart body has besides the file.
const FRAME: u64 = 64 * 1024;
/// How long an upload waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may send nothing at all.
const SILENCE: Duration = Duration::from_secs(15);
/// After this long, a client must have sent this many bytes a second.
const GRACE: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 16 * 1024;

/// A file that arrived.
pub(super) struct Received {
    pub(super) upload: Upload,
    pub(super) file_name: Option<String>,
}

/// The one file of a form.
struct Sent {
    staged: Staged,
    digest: Digest,
    file_name: Option<String>,
}

/// Receives the one file of a multipart body, under the field `name`.
pub(super) async fn receive(
    context: &Context,
    request: &HttpRequest,
    payload: Multipart,
    name: &str,
) -> Result<Received, ApiError> {
    let limit = context.config.max_upload_bytes;
    if declared_length(request).is_some_and(|length| length > limit + FRAME) {
        return Err(too_large(limit));
    }
    let place = Arc::clone(&context.uploading).acquire_owned();
    let Ok(Ok(turn)) = timeout(TURN_WITHIN, place).await else {
        return Err(ApiError::from(Error::Busy).closing());
    };
    let sent = fields(context, payload, name).await.map_err(ApiError::closing)?;
    let Sent { staged, digest, file_name } = sent;
    let said = request.headers().get("x-bundle-digest").and_then(|value| value.to_str().ok());
    match said {
        Some(said) if said.trim() != digest.as_str() => Err(Error::DigestMismatch.into()),
        Some(_) | None => Ok(Received { upload: Upload { staged, digest, turn }, file_name }),
    }
}

fn declared_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: u64) -> ApiError {
    let detail = format!("at most {limit} bytes are taken");
    let title = "The upload is too large";
    let problem = Problem::new(413, "UPLOAD_TOO_LARGE", title, detail);
    ApiError::new(problem.hint("leave out what is built or installed, such as node_modules"))
        .closing()
}

async fn fields(context: &Context, mut payload: Multipart, name: &str) -> Result<Sent, ApiError> {
    let mut sent = None;
    while let Some(field) = next_in_time(payload.next()).await? {
        let field = field.map_err(|err| broken(&err))?;
        if field.name() != Some(name) {
            let shown = common::problem::excerpt(field.name().unwrap_or_default());
            let detail = format!("the form has one field, {name}; it has no field \"{shown}\"");
            return Err(ApiError::field("form", "UNKNOWN_FIELD", detail));
        }
        if sent.is_some() {
            let detail = format!("the field {name} stands twice in the form");
            return Err(ApiError::field(name, "FIELD_INVALID", detail));
        }
        sent = Some(file(context, field).await?);
    }
    sent.ok_or_else(|| {
        let detail = format!("the form lacks the field {name} with the zip");
        ApiError::field(name, "FIELD_INVALID", detail)
    })
}

async fn file(context: &Context, mut field: Field) -> Result<Sent, ApiError> {
    let file_name = field.content_disposition().and_then(|said| said.get_filename());
    let file_name = file_name.map(str::to_owned);
    let (staged, file) = context.staging.file().map_err(unwritable)?;
    let digest = write(context, &mut field, File::from_std(file)).await?;
    Ok(Sent { staged, digest, file_name })
}

async fn write(context: &Context, field: &mut Field, mut file: File) -> Result<Digest, ApiError> {
    let limit = context.config.max_upload_bytes;
    let began = Instant::now();
    let mut hash = Sha256::new();
    let mut size = 0_u64;
    while let Some(piece) = next_in_time(field.next()).await? {
        let piece = piece.map_err(|err| broken(&err))?;
        size += piece.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        if is_too_slow(began.elapsed(), size) {
            return Err(too_slow());
        }
        hash.update(&piece);
        file.write_all(&piece).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    context.metrics.upload_bytes.inc_by(size);
    Ok(Digest::from_sha256(hash.finalize().into()))
}

fn is_too_slow(elapsed: Duration, size: u64) -> bool {
    elapsed > GRACE && size / elapsed.as_secs().max(1) < SLOWEST
}

async fn next_in_time<T>(next: impl Future<Output = T>) -> Result<T, ApiError> {
    timeout(SILENCE, next).await.map_err(|_| too_slow())
}

fn too_slow() -> ApiError {
    let detail = "the upload is slower than 16 KiB a second";
    ApiError::new(Problem::new(408, "UPLOAD_TOO_SLOW", "The upload is too slow", detail))
}

fn unwritable(err: std::io::Error) -> ApiError {
    if is_full(err.kind()) { ApiError::new(no_space()) } else { Error::File(err).into() }
}

fn broken(err: &MultipartError) -> ApiError {
    if matches!(err, MultipartError::Incomplete | MultipartError::Payload(_)) {
        return ApiError::new(truncated("the body ended before the form did"));
    }
    let detail: String =
        err.to_string().chars().filter(|letter| !letter.is_control()).take(120).collect();
    ApiError::new(Problem::new(400, "FORM_INVALID", "The form is not understood", detail))
}

/// Counts what became of an upload.
pub(super) fn count(context: &Context, made: &Result<Made, Error>) {
    let label = match made {
        Ok(Made { is_new: true, .. }) => "released",
        Ok(Made { is_new: false, .. }) => "repeated",
        Err(_) => "refused",
    };
    context.metrics.uploads.with_label_values(&[label]).inc();
}
