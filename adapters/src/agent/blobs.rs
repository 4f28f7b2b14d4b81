//! Blobs on nodes, as their agents give and take them.

use std::time::Duration;

use bytes::Bytes;
use common::agent::{BLOB_ABSENT, BLOB_MISMATCH, BLOBS, BlobsQuery, Held, Refusal};
use common::digest::Digest;
use common::failure::FailureCode;
use common::port::Cause;
use common::port::blobs::Error;
use common::port::nodes::Agent;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Body, RequestBuilder, Response};
use serde::Deserialize;

use super::{AgentClient, LOOK_WITHIN};

/// How long a blob may take to go over the network.
const TRANSFER_WITHIN: Duration = Duration::from_mins(10);

impl AgentClient {
    pub(crate) async fn put_blob(
        &self,
        agent: &Agent,
        digest: &Digest,
        bytes: Body,
    ) -> Result<(), Error> {
        let request = self.http.put(url(agent, digest)).timeout(TRANSFER_WITHIN).body(bytes);
        send(request, digest).await.map(drop)
    }

    /// The size of a blob, and its bytes as they come: nobody has checked them yet.
    pub(crate) async fn get_blob(
        &self,
        agent: &Agent,
        digest: &Digest,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, Cause>>), Error> {
        let request = self.http.get(url(agent, digest)).timeout(TRANSFER_WITHIN);
        // A node that is silent must not hold up the look at the next one.
        let response = tokio::time::timeout(LOOK_WITHIN, send(request, digest)).await;
        let response = response.map_err(|late| Error::Unavailable(late.into()))??;
        let size = response.content_length();
        let unsized_answer = || Error::Unavailable("the answer has no length".into());
        let bytes = response.bytes_stream().map_err(Cause::from).boxed();
        Ok((size.ok_or_else(unsized_answer)?, bytes))
    }

    pub(crate) async fn delete_blob(&self, agent: &Agent, digest: &Digest) -> Result<(), Error> {
        let request = self.http.delete(url(agent, digest)).timeout(LOOK_WITHIN);
        send(request, digest).await.map(drop)
    }

    pub(crate) async fn list_blobs(&self, agent: &Agent) -> Result<Held, Error> {
        let request = self.get(agent, BLOBS).query(&BlobsQuery { free: true });
        let response = request.timeout(LOOK_WITHIN).send().await;
        let response = response.and_then(Response::error_for_status).map_err(unavailable)?;
        let listed: Listed = response.json().await.map_err(unavailable)?;
        Ok(listed.into())
    }
}

/// How agents list what they hold.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Listed {
    Now(Held),
    /// Agents of before are silent on what is free: some leave it out.
    Before(Vec<Digest>),
}

impl From<Listed> for Held {
    fn from(listed: Listed) -> Self {
        match listed {
            Listed::Now(held) => held,
            Listed::Before(held) => Held { held, free: Vec::new() },
        }
    }
}

fn url(agent: &Agent, digest: &Digest) -> String {
    format!("https://{}{BLOBS}/{digest}", agent.address)
}

async fn send(request: RequestBuilder, digest: &Digest) -> Result<Response, Error> {
    let response = request.send().await.map_err(unavailable)?;
    if response.status().is_success() { Ok(response) } else { Err(refused(response, digest).await) }
}

async fn refused(response: Response, digest: &Digest) -> Error {
    let status = response.status();
    let Ok(Refusal { problem, .. }) = response.json().await else {
        return Error::Unavailable(format!("the answer was {status}").into());
    };
    let code = problem.code.as_str();
    if code == BLOB_ABSENT {
        return Error::Absent(digest.clone());
    }
    if let (BLOB_MISMATCH, Ok(found)) = (code, problem.detail.parse()) {
        return Error::Mismatch { wanted: digest.clone(), found };
    }
    let cause = Cause::from(format!("{code}: {}", problem.detail));
    if code == FailureCode::InsufficientStorage.as_str() {
        Error::Full(cause)
    } else {
        Error::Unavailable(cause)
    }
}

fn unavailable(err: reqwest::Error) -> Error {
    Error::Unavailable(err.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn agents_of_before_say_what_they_hold_and_nothing_of_what_is_free() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let read = |listed| Held::from(serde_json::from_value::<Listed>(listed).unwrap());
        let held = vec![one.clone(), other.clone()];
        let before = read(json!([one, other]));
        assert_eq!(before, Held { held: held.clone(), free: Vec::new() });
        let now = read(json!({ "held": [one, other], "free": [other], "of_a_newer_version": 1 }));
        assert_eq!(now, Held { held, free: vec![other] });
    }
}
