//! The JSON object that travels, and why one is refused.

use std::fmt;

use bytes::Bytes;

use super::TextError;
use super::json::Fields;
use crate::id::RequestId;
use crate::nesting;
use crate::port::bus::MAX_PAYLOAD;
use crate::problem::excerpt;
use crate::topic::Topic;

/// The length of a UUID as document 001's programs write it: with hyphens.
const ID_LENGTH: usize = 36;
/// How much a [`Reject`] says, in characters.
const DETAIL_LENGTH: usize = 200;

/// Document 001's envelope: four keys. Other programs may send more; those are ignored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Envelope {
    pub to_topic: Topic,
    pub from_topic: Topic,
    pub request_id: RequestId,
    pub msg: String,
}

impl Envelope {
    /// The JSON object that travels, keys in document 001's order.
    pub fn encode(&self) -> Bytes {
        let text = serde_json::to_vec(self).expect("an envelope is four texts");
        Bytes::from(text)
    }

    /// Reads a record of the topic `read_from`. Never trusts what it reads: size, encoding, depth,
    /// keys, topics and id are checked, in this order.
    pub fn decode(payload: &[u8], read_from: Topic) -> Result<Self, Reject> {
        let fields = fields(payload)?;
        let to_topic = required(&fields, "to_topic")?;
        if to_topic != read_from.as_str() {
            let detail = format!("it is addressed to \"{}\"", excerpt(to_topic));
            return Err(Reject::new(RejectCode::WrongTopic, &detail));
        }
        let from_topic = required(&fields, "from_topic")?;
        let from_topic = from_topic.parse().map_err(|_| {
            malformed(&format!("from_topic \"{}\" is no topic", excerpt(from_topic)))
        })?;
        let msg = required(&fields, "msg")?.to_owned();
        let request_id = request_id(&fields)?;
        Ok(Envelope { to_topic: read_from, from_topic, request_id, msg })
    }
}

fn fields(payload: &[u8]) -> Result<Fields, Reject> {
    if payload.len() > MAX_PAYLOAD {
        let detail = format!("{} bytes are more than {MAX_PAYLOAD}", payload.len());
        return Err(Reject::new(RejectCode::TooLarge, &detail));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|err| malformed(&format!("it is not UTF-8 from byte {} on", err.valid_up_to())))?;
    if nesting::too_deep_at(text).is_some() {
        return Err(malformed(&format!("it is nested deeper than {}", nesting::MAX_DEPTH)));
    }
    let fields: Fields = serde_json::from_str(text).map_err(|err| {
        let what = if err.is_data() { "an object" } else { "JSON" };
        malformed(&format!("it is not {what}, line {} column {}", err.line(), err.column()))
    })?;
    if fields.repeated { Err(malformed("a key stands twice in it")) } else { Ok(fields) }
}

fn required<'a>(fields: &'a Fields, key: &str) -> Result<&'a str, Reject> {
    fields.text(key).ok_or_else(|| malformed(&format!("it has no text {key}")))
}

/// Only the hyphenated form: the id is sent on in it, and must stay the same along the chain.
fn request_id(fields: &Fields) -> Result<RequestId, Reject> {
    let invalid = |detail: &str| Reject::new(RejectCode::IdInvalid, detail);
    let text = fields.text("request_id").ok_or_else(|| invalid("it has no text request_id"))?;
    let id = Some(text).filter(|text| text.len() == ID_LENGTH).and_then(|text| text.parse().ok());
    id.ok_or_else(|| invalid(&format!("request_id \"{}\" is no UUID", excerpt(text))))
}

fn malformed(detail: &str) -> Reject {
    Reject::new(RejectCode::Malformed, detail)
}

/// Why a record is not taken; the record goes to the dead-letter topic with this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Reject {
    pub code: RejectCode,
    /// One clause for people, at most 200 characters, control characters escaped.
    pub detail: String,
}

impl Reject {
    /// Makes the detail short and harmless.
    pub fn new(code: RejectCode, detail: &str) -> Self {
        let mut harmless = String::new();
        for (length, letter) in detail.chars().flat_map(shown).enumerate() {
            if length == DETAIL_LENGTH {
                break;
            }
            harmless.push(letter);
        }
        Reject { code, detail: harmless }
    }
}

/// Control characters are shown, not done; all else stays as it is.
fn shown(letter: char) -> impl Iterator<Item = char> {
    let kept = (!letter.is_control()).then_some(letter);
    let escape = letter.is_control().then(|| letter.escape_unicode());
    kept.into_iter().chain(escape.into_iter().flatten())
}

impl From<TextError> for Reject {
    fn from(err: TextError) -> Self {
        match err {
            TextError::UnknownKind => Reject::new(RejectCode::UnknownKind, &err.to_string()),
            TextError::Malformed(why) => malformed(&why),
        }
    }
}

/// The closed list of reasons for dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectCode {
    /// `MSG_MALFORMED`: not UTF-8, not JSON, not the four keys, too deep, a verb's payload is wrong.
    Malformed,
    /// `MSG_TOO_LARGE`.
    TooLarge,
    /// `MSG_ID_INVALID`: the request id is missing or no UUID.
    IdInvalid,
    /// `MSG_UNKNOWN_KIND`: the topic has no such verb.
    UnknownKind,
    /// `MSG_ID_CONFLICT`: the id was used before with another content.
    IdConflict,
    /// `ENVELOPE_WRONG_TOPIC`: `to_topic` is not the topic it was read from.
    WrongTopic,
    /// `ENVELOPE_EXPIRED`: older than the platform remembers requests.
    Expired,
    /// `INTERNAL`: what it concerns stands in a record of the platform that is not readable.
    Internal,
}

impl RejectCode {
    /// The reason as the dead letter's header carries it.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectCode::Malformed => "MSG_MALFORMED",
            RejectCode::TooLarge => "MSG_TOO_LARGE",
            RejectCode::IdInvalid => "MSG_ID_INVALID",
            RejectCode::UnknownKind => "MSG_UNKNOWN_KIND",
            RejectCode::IdConflict => "MSG_ID_CONFLICT",
            RejectCode::WrongTopic => "ENVELOPE_WRONG_TOPIC",
            RejectCode::Expired => "ENVELOPE_EXPIRED",
            RejectCode::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
