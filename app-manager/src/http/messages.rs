//! `POST /api/v1/messages`: any message, by hand; and reading what travels.

pub(super) mod reading;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use common::id::RequestId;
use common::message::Envelope;
use common::topic::Topic;
use serde::Deserialize;
use serde_json::json;

use super::problems::ApiError;
use crate::commands::send;
use crate::context::Context;
use crate::domain::access::Person;

const LONGEST_KEY: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    to_topic: Topic,
    #[serde(default = "first_topic")]
    from_topic: Topic,
    /// A new one if it is left out.
    request_id: Option<RequestId>,
    msg: String,
    /// The record's key: the instance.
    key: Option<String>,
}

fn first_topic() -> Topic {
    Topic::FirstTopic
}

pub(super) async fn send(
    context: Data<Context>,
    person: Person,
    body: Json<Message>,
) -> Result<HttpResponse, ApiError> {
    let Message { to_topic, from_topic, request_id, msg, key } = body.into_inner();
    if key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY) {
        let detail = format!("a key has at most {LONGEST_KEY} bytes");
        return Err(ApiError::field("key", "FIELD_INVALID", detail));
    }
    let request_id = request_id.unwrap_or_else(|| RequestId(context.ports.entropy.uuid()));
    let envelope = Envelope { to_topic, from_topic, request_id, msg };
    let offset = send::send(&context, &envelope, key).await?;
    tracing::info!(user = %person.name, topic = %to_topic, request.id = %request_id, "a message was sent by hand");
    let said = json!({ "topic": to_topic, "request_id": request_id, "offset": offset });
    Ok(HttpResponse::Accepted().json(said))
}
