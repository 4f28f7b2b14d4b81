//! `[[alerts]]`: who is told of alerts by signed requests.

use std::net::IpAddr;

use super::here::Paths;
use super::section::{Entry, Section};
use crate::description::KnownReceiver;

const KEYS: [&str; 4] = ["name", "url", "secret_file", "internal"];
/// As many as monitoring takes.
const MOST: usize = 16;
const LONGEST_NAME: usize = 40;

/// All of them, in the order of the file.
pub(super) fn read(entry: &Entry<'_>, paths: Paths<'_>) -> Option<Vec<KnownReceiver>> {
    let list = entry.list()?;
    if list.len() > MOST {
        let hint = "let one of them tell the others";
        return entry.wrong(format!("they are more than {MOST}"), hint);
    }
    let mut lines: Vec<(String, usize)> = Vec::new();
    // Each is looked at, so that all that is wrong is told.
    let read: Vec<Option<KnownReceiver>> =
        list.iter().map(|entry| receiver(entry, paths, &mut lines)).collect();
    read.into_iter().collect()
}

fn receiver(
    entry: &Entry<'_>,
    paths: Paths<'_>,
    lines: &mut Vec<(String, usize)>,
) -> Option<KnownReceiver> {
    let section = entry.section()?;
    section.only(&KEYS);
    let hint = "write what it is called in logs, as name = \"pager\"";
    let name = section.required("name", hint).and_then(|entry| name(&entry, lines));
    let internal = section.optional("internal").map_or(Some(false), |entry| entry.flag());
    let url = url(&section, internal);
    let hint =
        "write the file with what requests are signed with, as secret_file = \"pager.secret\"";
    let secret_file = section.required("secret_file", hint);
    let secret_file = secret_file.and_then(|entry| paths.secret(&entry));
    Some(KnownReceiver { name: name?, url: url?, secret_file: secret_file?, internal: internal? })
}

fn name(entry: &Entry<'_>, lines: &mut Vec<(String, usize)>) -> Option<String> {
    let text = entry.text()?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > LONGEST_NAME || !text.bytes().all(allowed) {
        let hint = format!("write 1 to {LONGEST_NAME} letters of a-z, 0-9 and -");
        return entry.wrong(format!("{text:?} is no name of a receiver"), hint);
    }
    if let Some((_, line)) = lines.iter().find(|(name, _)| name == text) {
        let message = format!("the receiver of line {line} has the same name");
        return entry.wrong(message, "give every receiver its own");
    }
    lines.push((text.to_owned(), entry.line()));
    Some(text.to_owned())
}

/// It is never shown: some hold a secret of the receiver's. `internal` is none where that is wrong itself.
fn url(section: &Section<'_>, internal: Option<bool>) -> Option<String> {
    let hint = "write where it is told, as url = \"https://hooks.example.org/avishkar\"";
    let entry = section.required("url", hint)?;
    let text = entry.text()?;
    let found = parts(text);
    let hint = "write one as https://hooks.example.org/avishkar, without a user in it";
    let Some((scheme, host)) = found else { return entry.wrong("it is no URL", hint) };
    let internal = internal?;
    if scheme != "https" && !(internal && scheme == "http") {
        let hint = "write an https:// URL; or internal = true, where it is in your own network";
        return entry.wrong("it goes without TLS", hint);
    }
    if is_address(host) && !internal {
        let hint = "write its host name; or internal = true, where it is in your own network";
        return entry.wrong("it names an address and no host", hint);
    }
    Some(text.to_owned())
}

/// Its scheme and its host: stricter than any library is, so that monitoring takes what is taken here.
fn parts(text: &str) -> Option<(&str, &str)> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte);
    if !text.bytes().all(is_plain) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let at = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match at.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (at, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_right = port.is_none_or(|port| is_port(port) && port.parse::<u16>().is_ok());
    (is_right && (is_address(host) || is_name(host))).then_some((scheme, host))
}

fn is_address(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match (inside, inside.unwrap_or(host).parse::<IpAddr>()) {
        (Some(_), Ok(address)) => address.is_ipv6(),
        (None, Ok(address)) => address.is_ipv4(),
        (_, Err(_)) => false,
    }
}

/// Labels of letters, digits and hyphens, of which the last one is no number: that would be an address.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(is_label)
        && !host.to_ascii_lowercase().contains("xn--")
        && last.starts_with(|letter: char| letter.is_ascii_alphabetic())
}
