//! Calls about blobs: their bytes as they are.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpResponse, Responder};
use common::agent::{BLOB_ABSENT, BLOB_MISMATCH, BlobsQuery};
use common::digest::Digest;
use common::failure::FailureCode;
use common::port::blobs;
use common::problem::Problem;

use super::AgentRefusal;
use crate::agent::Agent;
use crate::bundles::Error;

pub(super) async fn put(
    agent: Data<Agent>,
    digest: Path<Digest>,
    bytes: Payload,
) -> Result<impl Responder, AgentRefusal> {
    agent.bundles.take(&digest, bytes).await?;
    Ok(HttpResponse::NoContent())
}

/// What fails in the middle breaks the answer off; who reads it checks the digest.
pub(super) async fn get(
    agent: Data<Agent>,
    digest: Path<Digest>,
) -> Result<impl Responder, AgentRefusal> {
    let (size, bytes) = agent.bundles.open_one(&digest).await?;
    let mut answer = HttpResponse::Ok();
    Ok(answer.content_type("application/octet-stream").no_chunking(size).streaming(bytes))
}

/// Callers of before do not ask what is free.
pub(super) async fn list(
    agent: Data<Agent>,
    query: Query<BlobsQuery>,
) -> Result<impl Responder, AgentRefusal> {
    let held = agent.bundles.held().await?;
    let mut answer = HttpResponse::Ok();
    Ok(if query.free { answer.json(held) } else { answer.json(held.held) })
}

pub(super) async fn delete(
    agent: Data<Agent>,
    digest: Path<Digest>,
) -> Result<impl Responder, AgentRefusal> {
    agent.bundles.delete(&digest).await?;
    Ok(HttpResponse::NoContent())
}

impl From<Error> for AgentRefusal {
    fn from(err: Error) -> Self {
        let (status, code, detail) = match &err {
            Error::TooLarge(_) => (413, "BODY_TOO_LARGE", err.to_string()),
            Error::Incomplete => (400, "BODY_INCOMPLETE", err.to_string()),
            Error::Blobs(blobs::Error::Absent(digest)) => (404, BLOB_ABSENT, digest.to_string()),
            Error::Blobs(blobs::Error::Mismatch { found, .. }) => {
                (422, BLOB_MISMATCH, found.to_string())
            }
            Error::Blobs(blobs::Error::Full(_)) => {
                (507, FailureCode::InsufficientStorage.as_str(), err.to_string())
            }
            Error::Blobs(blobs::Error::Unavailable(_)) | Error::Write(_) => {
                (503, FailureCode::NodeUnavailable.as_str(), err.to_string())
            }
        };
        if status >= 500 {
            tracing::warn!(error = &err as &dyn std::error::Error, code, "refused");
        }
        AgentRefusal::new(Problem::new(status, code, "The blob is not kept or given", detail))
    }
}
