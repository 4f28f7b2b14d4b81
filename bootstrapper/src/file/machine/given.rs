//! A machine that exists.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use common::port::host::{Credential, Gate, HostKey, PORT};
use common::port::machines::Shape;

use super::super::address;
use super::super::section::{Entry, Section};
use super::{Around, Shaped, Taken};

const KEYS: [&str; 10] = [
    "name",
    "kind",
    "address",
    "port",
    "internal_address",
    "user",
    "key_file",
    "agent",
    "password_file",
    "host_key",
];
const CREDENTIALS: [&str; 3] = ["key_file", "agent", "password_file"];
const PROOF: &str = "write one of key_file, agent and password_file";

pub(super) fn read(section: &Section<'_>, around: Around<'_>, taken: &mut Taken) -> Option<Shaped> {
    section.only(&KEYS);
    let gate = gate(section, taken);
    let address = reached(section, gate.as_ref(), taken);
    let user = section.required("user", "write user = \"root\", or who may become root by sudo");
    let user = user.and_then(|entry| user_name(&entry));
    let credential = credential(section, around);
    let host_key = match section.optional("host_key") {
        None => Some(None),
        Some(entry) => host_key(&entry).map(Some),
    };
    Some(Shaped {
        shape: Shape::Given,
        gate: Some(gate?),
        address: match address? {
            Reached::WhereOneSignsIn => None,
            Reached::At(address) => Some(address.into()),
        },
        user: user?,
        credential: credential?,
        host_key: host_key?,
    })
}

fn gate(section: &Section<'_>, taken: &mut Taken) -> Option<Gate> {
    let hint = "write where one signs in, as address = \"192.0.2.11\"";
    let entry = section.required("address", hint);
    let port = match section.optional("port") {
        None => Some(PORT),
        Some(entry) => entry.port(),
    };
    let entry = entry?;
    let address = at(&entry)?;
    let gate = Gate { address, port: port? };
    taken.note(&entry, "gate", &gate);
    Some(gate)
}

/// An address, or a name that this computer resolves.
fn at(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let hint = "write an IPv4 address or the name of a host, without a port";
    let looks_like_an_address = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if looks_like_an_address && text.parse::<Ipv4Addr>().is_err() {
        return entry.wrong(format!("{text:?} is no address"), hint);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return entry.wrong(format!("{text:?} is neither an address nor a name"), hint);
    }
    Some(text.to_owned())
}

/// Where other machines find it.
enum Reached {
    WhereOneSignsIn,
    At(Ipv4Addr),
}

fn reached(section: &Section<'_>, gate: Option<&Gate>, taken: &mut Taken) -> Option<Reached> {
    if let Some(entry) = section.optional("internal_address") {
        let address = address::of_machine(&entry)?;
        taken.note(&entry, "address", &address);
        return Some(Reached::At(address));
    }
    let gate = gate?;
    let entry = section.optional("address")?;
    let hint = "add where other machines reach it, as internal_address = \"192.0.2.11\"";
    let Ok(address) = gate.address.parse::<Ipv4Addr>() else {
        return entry.wrong("a name says nothing about where other machines reach it", hint);
    };
    if let Some(why) = address::unreachable(address) {
        return entry.wrong(format!("no other machine reaches it at {address}: {why}"), hint);
    }
    taken.note(&entry, "address", &address);
    Some(Reached::WhereOneSignsIn)
}

/// As POSIX lets users be called.
pub(in crate::file) fn user_name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.len() <= 32 && !text.starts_with('-') && text.bytes().all(allowed) {
        return Some(text.to_owned());
    }
    entry.wrong(format!("{text:?} is no name of a user"), "write whom to be, as \"root\"")
}

fn credential(section: &Section<'_>, around: Around<'_>) -> Option<Credential> {
    let given = section.present(&CREDENTIALS);
    let Some(first) = given.first() else {
        section.missing("key_file", PROOF);
        return None;
    };
    for more in given.iter().skip(1) {
        more.wrong::<()>("there is another credential", PROOF);
    }
    let path = |key: &str, path: Option<PathBuf>| {
        let path = path?;
        Some(match key {
            "agent" => Credential::Agent(path),
            "password_file" => Credential::PasswordFile(path),
            _ => Credential::KeyFile(path),
        })
    };
    let key = first.key.rsplit('.').next().unwrap_or_default();
    match key {
        "agent" => path(key, around.paths.socket(first)),
        _ => path(key, around.paths.secret(first)),
    }
}

fn host_key(entry: &Entry<'_>) -> Option<HostKey> {
    entry.parsed(
        "leave it out, and `avishkar bootstrap plan` shows what to compare and to write here",
    )
}
