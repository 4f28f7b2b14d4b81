//! What a path names.

use super::SUBSCRIPTION;

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Group,
    Network,
    Subnet,
    Rules,
    Address,
    Interface,
    Computer,
    Disk,
}

/// Each with its provider and what it is called in paths.
const KINDS: [(Kind, &str, &str); 8] = [
    (Kind::Group, "Microsoft.Resources", "resourceGroups"),
    (Kind::Network, "Microsoft.Network", "virtualNetworks"),
    (Kind::Subnet, "Microsoft.Network", "subnets"),
    (Kind::Rules, "Microsoft.Network", "networkSecurityGroups"),
    (Kind::Address, "Microsoft.Network", "publicIPAddresses"),
    (Kind::Interface, "Microsoft.Network", "networkInterfaces"),
    (Kind::Computer, "Microsoft.Compute", "virtualMachines"),
    (Kind::Disk, "Microsoft.Compute", "disks"),
];

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = KINDS.iter().find(|(_, _, called)| called.eq_ignore_ascii_case(name));
        found.map(|(kind, _, _)| *kind)
    }

    pub(super) fn provider(self) -> &'static str {
        self.row().1
    }

    pub(super) fn name(self) -> &'static str {
        self.row().2
    }

    pub(super) fn full_name(self) -> String {
        format!("{}/{}", self.provider(), self.name())
    }

    fn row(self) -> &'static (Kind, &'static str, &'static str) {
        KINDS.iter().find(|(kind, _, _)| *kind == self).expect("every kind has a row")
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Token,
    /// A resource by its id.
    Resource {
        kind: Kind,
        id: String,
    },
    /// All resources of a kind in a group.
    All {
        kind: Kind,
        group: String,
    },
    /// Something that a virtual machine shall do.
    Verb {
        id: String,
        verb: String,
    },
    /// An operation by its number; `result` where only its end is told.
    Operation {
        number: u32,
        is_result: bool,
    },
    Nothing,
    /// Not the test's.
    OtherSubscription,
}

impl Target {
    /// Paths are the same in any case of letters.
    pub(super) fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is = |place: usize, word: &str| {
            parts.get(place).is_some_and(|part| part.eq_ignore_ascii_case(word))
        };
        if is(1, "oauth2") && is(2, "v2.0") && is(3, "token") {
            return Target::Token;
        }
        if !is(0, "subscriptions") {
            return Target::Nothing;
        }
        if !is(1, SUBSCRIPTION) {
            return Target::OtherSubscription;
        }
        let id = |count: usize| format!("/{}", parts[..count].join("/"));
        let kind = |place: usize| {
            let kind = parts.get(place).and_then(|part| Kind::named(part));
            kind.filter(|kind| is(place - 1, kind.provider()))
        };
        match parts.len() {
            4 if is(2, "resourceGroups") => Target::Resource { kind: Kind::Group, id: id(4) },
            7 if is(4, "providers") => match kind(6) {
                Some(kind) => Target::All { kind, group: id(4) },
                None => Target::Nothing,
            },
            8 if is(2, "providers") && is(4, "locations") => match parts[7].parse() {
                Ok(number) => Target::Operation { number, is_result: is(6, "operationResults") },
                Err(_) => Target::Nothing,
            },
            8 if is(4, "providers") => match kind(6) {
                Some(kind) => Target::Resource { kind, id: id(8) },
                None => Target::Nothing,
            },
            9 if kind(6) == Some(Kind::Computer) => {
                Target::Verb { id: id(8), verb: parts[8].to_owned() }
            }
            10 if kind(6) == Some(Kind::Network) && is(8, "subnets") => {
                Target::Resource { kind: Kind::Subnet, id: id(10) }
            }
            _ => Target::Nothing,
        }
    }

    /// By which faults are asked for.
    pub(super) fn fault_kind(&self) -> String {
        match self {
            Target::Token => "token".to_owned(),
            Target::Resource { kind, .. } | Target::All { kind, .. } => kind.name().to_owned(),
            Target::Verb { verb, .. } => format!("virtualMachines/{verb}"),
            Target::Operation { .. } => "operations".to_owned(),
            Target::Nothing | Target::OtherSubscription => String::new(),
        }
    }

    /// As it is noted.
    pub(super) fn noted(&self) -> String {
        match self {
            Target::Resource { id, .. } | Target::Verb { id, .. } => {
                format!("{}/{}", self.fault_kind(), id.rsplit('/').next().unwrap_or_default())
            }
            Target::Token
            | Target::All { .. }
            | Target::Operation { .. }
            | Target::Nothing
            | Target::OtherSubscription => self.fault_kind(),
        }
    }
}
