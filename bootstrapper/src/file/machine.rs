//! `[[machines]]`: one table for each, of three kinds.

mod azure;
mod given;
mod local;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

use common::name::NodeName;
use common::port::host::{Credential, Gate, HostKey};
use common::port::machines::Shape;
use rollout::platform::PlannedMachine;

use super::address::Range;
use super::here::Paths;
use super::section::{Entry, Section};

pub(super) use self::given::user_name;

const KINDS: [&str; 3] = ["given", "local", "azure"];

/// What the backends say that their machines must fit.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) paths: Paths<'a>,
    /// The key that lets this computer into machines that are made.
    pub(super) key_file: &'a Path,
    /// The addresses of local machines.
    pub(super) local: Option<Range>,
    /// As whom one signs in to machines of Azure.
    pub(super) azure_user: Option<&'a str>,
}

/// All machines of the file.
#[derive(Default)]
pub(super) struct Machines {
    /// Those that have a name, whatever else is wrong with them.
    pub(super) names: Vec<NodeName>,
    /// Those that are right.
    pub(super) planned: Vec<PlannedMachine>,
    /// The kinds that are there.
    pub(super) kinds: Vec<&'static str>,
}

/// Reads them all.
pub(super) fn read(root: &Section<'_>, around: Around<'_>) -> Machines {
    let mut machines = Machines::default();
    let hint = "write a [[machines]] for each: see config/platform.toml";
    let Some(entry) = root.required("machines", hint) else { return machines };
    let Some(list) = entry.list() else { return machines };
    if list.is_empty() {
        entry.wrong::<()>("there is no machine", hint);
    }
    let mut taken = Taken::default();
    for entry in &list {
        let Some(section) = entry.section() else { continue };
        let named = section.required("name", "write the machine's name, as name = \"node-1\"");
        let name = named.as_ref().and_then(name);
        if let (Some(entry), Some(name)) = (&named, &name) {
            taken.note(entry, "name", name);
            machines.names.push(name.clone());
        }
        let shaped = shaped(&section, around, &mut taken, &mut machines.kinds);
        if let (Some(name), Some(shaped)) = (name, shaped) {
            machines.planned.push(shaped.named(name));
        }
    }
    machines
}

/// The name of a machine, or of the platform.
pub(super) fn name(entry: &Entry<'_>) -> Option<NodeName> {
    entry.parsed("write a name like node-1")
}

/// A machine without its name.
struct Shaped {
    shape: Shape,
    gate: Option<Gate>,
    address: Option<IpAddr>,
    user: String,
    credential: Credential,
    host_key: Option<HostKey>,
}

impl Shaped {
    fn named(self, name: NodeName) -> PlannedMachine {
        let Shaped { shape, gate, address, user, credential, host_key } = self;
        PlannedMachine { name, shape, gate, address, user, credential, id: None, host_key }
    }
}

fn shaped(
    section: &Section<'_>,
    around: Around<'_>,
    taken: &mut Taken,
    kinds: &mut Vec<&'static str>,
) -> Option<Shaped> {
    let hint = "write kind = \"given\", \"local\" or \"azure\"";
    let kind = section.required("kind", hint)?.word(&KINDS)?;
    kinds.extend(KINDS.into_iter().filter(|known| *known == kind));
    match kind {
        "given" => given::read(section, around, taken),
        "local" => local::read(section, around, taken),
        _ => azure::read(section, around, taken),
    }
}

/// What only one machine may have, by where it was first said.
#[derive(Default)]
struct Taken(BTreeMap<(&'static str, String), usize>);

impl Taken {
    /// Complains if another machine has it.
    fn note(&mut self, entry: &Entry<'_>, what: &'static str, value: &impl Display) {
        let key = (what, value.to_string());
        if let Some(line) = self.0.get(&key) {
            let message = format!("the machine of line {line} has the same {what}, {value}");
            entry.wrong::<()>(message, "give every machine its own");
            return;
        }
        self.0.insert(key, entry.line());
    }
}
