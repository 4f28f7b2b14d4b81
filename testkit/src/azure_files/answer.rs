//! What the share answers, and whom.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::http::{Answer, Request};
use super::shared_key::{self, Signed, pairs};
use super::tree::{File, Node};
use super::{Shared, State};

/// A date that is further off is refused.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(15);

const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b'<').add(b'&');

type Refusal = (u16, &'static str);

/// The answer to a question.
pub(super) fn to(request: &Request, shared: &Shared) -> Answer {
    let mut state = shared.lock();
    state.asked.push(format!("{} {}?{}", request.method, request.path, request.query));
    if state.busy > 0 {
        state.busy -= 1;
        return refused((503, "ServerBusy"));
    }
    let answered = authorized(request, shared).and_then(|()| served(request, shared, &mut state));
    answered.unwrap_or_else(refused)
}

fn refused((status, code): Refusal) -> Answer {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>It is so.</Message></Error>"
    );
    let headers = vec![("x-ms-error-code", code.to_owned())];
    Answer { status, headers, body: body.into(), length: None, is_cut: false }
}

/// Whether who asks may list and read.
fn authorized(request: &Request, shared: &Shared) -> Result<(), Refusal> {
    if request.header("x-ms-version").is_empty() {
        return Err((400, "MissingRequiredHeader"));
    }
    let query = pairs(&request.query);
    let field =
        |name: &str| query.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let now = shared.clock.now();
    let failed = (403, "AuthenticationFailed");
    let authorization = request.header("authorization");
    if !authorization.is_empty() {
        let date = rfc2822::parse(request.header("x-ms-date")).map_err(|_| failed)?;
        let apart = now.duration_since(date.timestamp()).abs();
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let Request { method, path, query, .. } = request;
        let signed = Signed { method, path, query, headers: &headers };
        let account = &shared.account;
        let wanted = shared_key::authorization(&account.name, &account.key, signed);
        let known = authorization == wanted && apart <= CLOCKS_DIFFER;
        return if known { Ok(()) } else { Err(failed) };
    }
    let Some(signature) = field("sig") else { return Err((401, "NoAuthenticationInformation")) };
    if signature != shared_key::sas_signature(&shared.account.name, &shared.account.key, field) {
        return Err(failed);
    }
    let expiry = field("se").and_then(|expiry| expiry.replace('Z', ":00Z").parse().ok());
    if expiry.is_none_or(|expiry: Timestamp| expiry <= now) {
        return Err(failed);
    }
    let (right, resource) = if field("comp").is_some() { ('l', 'c') } else { ('r', 'o') };
    let allows = |name: &str, wanted: char| field(name).is_some_and(|text| text.contains(wanted));
    if allows("ss", 'f') && allows("srt", resource) && allows("sp", right) {
        Ok(())
    } else {
        Err((403, "AuthorizationPermissionMismatch"))
    }
}

fn served(request: &Request, shared: &Shared, state: &mut State) -> Result<Answer, Refusal> {
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments = request.path.split('/').filter(|segment| !segment.is_empty());
    let mut path: Vec<String> = segments.map(decoded).collect();
    if path.first() != Some(&shared.account.share) {
        return Err((404, "ShareNotFound"));
    }
    path.remove(0);
    let query = pairs(&request.query);
    let field =
        |name: &str| query.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    match (request.method.as_str(), field("restype"), field("comp")) {
        ("GET", Some("directory"), Some("list")) => {
            let folder = state.tree.folder(&path).ok_or((404, "ResourceNotFound"))?;
            let most = field("maxresults").unwrap_or("5000").parse().unwrap_or(0);
            if most == 0 {
                return Err((400, "OutOfRangeQueryParameterValue"));
            }
            let marker = field("marker").unwrap_or_default();
            let names = folder.iter().filter(|(name, _)| name.as_str() >= marker);
            Ok(page(names.collect(), state.page.min(most)))
        }
        ("GET" | "HEAD", None, None) => {
            let is_cut = request.method == "GET" && state.cuts > 0;
            let file = state.tree.file(&path).ok_or((404, "ResourceNotFound"))?;
            let answer = file_answer(file, request)?;
            state.cuts -= u32::from(is_cut);
            Ok(Answer { is_cut, ..answer })
        }
        _ => Err((400, "InvalidQueryParameterValue")),
    }
}

fn file_answer(file: &File, request: &Request) -> Result<Answer, Refusal> {
    let size = file.content.len();
    let headers = vec![("etag", file.tag.clone()), ("accept-ranges", "bytes".to_owned())];
    let whole = Answer { status: 200, headers, body: Bytes::new(), length: None, is_cut: false };
    if request.method == "HEAD" {
        return Ok(Answer { length: Some(size as u64), ..whole });
    }
    let mut range = request.header("x-ms-range");
    if range.is_empty() {
        range = request.header("range");
    }
    if range.is_empty() {
        return Ok(Answer { body: file.content.clone(), ..whole });
    }
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let (start, end) = bounds.ok_or((400, "InvalidHeaderValue"))?;
    let start: usize = start.parse().map_err(|_| (400, "InvalidHeaderValue"))?;
    let end = end.parse::<usize>().map_or(size, |last| size.min(last + 1));
    if start >= end {
        return Err((416, "InvalidRange"));
    }
    Ok(Answer { status: 206, body: file.content.slice(start..end), ..whole })
}

/// A page of names; its marker is the first name of the next one.
fn page(names: Vec<(&String, &Node)>, most: usize) -> Answer {
    let next = names.get(most).map(|(name, _)| escaped(name)).unwrap_or_default();
    let mut entries = String::new();
    for (name, node) in names.into_iter().take(most) {
        entries.push_str(&match node {
            Node::File(File { content, tag }) => format!(
                "<File>{}<Properties><Content-Length>{}</Content-Length><Etag>{}</Etag></Properties></File>",
                named(name),
                content.len(),
                escaped(tag)
            ),
            Node::Folder(_) => format!("<Directory>{}<Properties /></Directory>", named(name)),
        });
    }
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Entries>{entries}</Entries><NextMarker>{next}</NextMarker></EnumerationResults>"
    );
    let headers = vec![("content-type", "application/xml".to_owned())];
    Answer { status: 200, headers, body: body.into(), length: None, is_cut: false }
}

/// A name as XML, encoded where XML could not hold it.
fn named(name: &str) -> String {
    let is_held = |letter: char| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}');
    if name.chars().all(is_held) {
        return format!("<Name>{}</Name>", escaped(name));
    }
    let encoded = utf8_percent_encode(name, ENCODED);
    format!("<Name Encoded=\"true\">{encoded}</Name>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
