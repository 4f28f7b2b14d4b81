//! A machine that is made in a container of this computer's engine.

use std::net::Ipv4Addr;

use common::port::host::Credential;
use common::port::machines::{LocalShape, Shape};

use super::super::section::{Entry, Section};
use super::{Around, Shaped, Taken};

const KEYS: [&str; 6] = ["name", "kind", "memory", "cpus", "address", "machines_socket"];
/// As whom one signs in.
const USER: &str = "root";
const MIB: u64 = 1024 * 1024;
/// Less does not hold an engine and an agent.
const LEAST: u64 = 512 * MIB;
const MOST: u64 = 1024 * 1024 * MIB;

pub(super) fn read(section: &Section<'_>, around: Around<'_>, taken: &mut Taken) -> Option<Shaped> {
    section.only(&KEYS);
    let memory = section.required("memory", "write how much it may use, as memory = \"4g\"");
    let memory_bytes = memory.and_then(|entry| memory_of(&entry));
    let cpus = section.required("cpus", "write how many cores it may use, as cpus = 1.5");
    let cpu_millis = cpus.and_then(|entry| entry.cores());
    let address = match section.optional("address") {
        None => Some(None),
        Some(entry) => address_of(&entry, around, taken).map(Some),
    };
    let machines_socket = match section.optional("machines_socket") {
        None => Some(false),
        Some(entry) => entry.flag(),
    };
    let shape = LocalShape {
        memory_bytes: memory_bytes?,
        cpu_millis: cpu_millis?,
        address: address?,
        machines_socket: machines_socket?,
    };
    Some(Shaped {
        shape: Shape::Local(shape),
        gate: None,
        address: None,
        user: USER.to_owned(),
        credential: Credential::KeyFile(around.key_file.to_owned()),
        host_key: None,
    })
}

fn memory_of(entry: &Entry<'_>) -> Option<u64> {
    let text = entry.text()?;
    let hint = "write mebibytes or gibibytes, as \"4g\" or \"1536m\", from 512m on";
    let unit = |suffix: &str| text.strip_suffix(suffix)?.parse::<u64>().ok();
    let bytes = unit("m").and_then(|number| number.checked_mul(MIB));
    let bytes = bytes.or_else(|| unit("g").and_then(|number| number.checked_mul(1024 * MIB)));
    match bytes {
        Some(bytes) if (LEAST..=MOST).contains(&bytes) => Some(bytes),
        Some(_) => entry.wrong(format!("{text:?} is out of bounds"), hint),
        None => entry.wrong(format!("{text:?} is no amount of memory"), hint),
    }
}

fn address_of(entry: &Entry<'_>, around: Around<'_>, taken: &mut Taken) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = entry.parsed("write an address of local.range, or none")?;
    taken.note(entry, "address", &address);
    match around.local {
        Some(range) if !range.admits(address) => entry.wrong(
            format!("no machine can have {address} in {range}"),
            "write an address of local.range; its first is the gateway's",
        ),
        Some(_) | None => Some(address),
    }
}
