//! `[local]` and `[azure]`: where machines are made.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::address::{self, Range};
use super::here::Paths;
use super::machine::user_name;
use super::section::{Entry, Section};
use crate::description::{AzureBackend, LocalBackend, SignIn};

const LOCAL_KEYS: [&str; 4] = ["socket", "image", "range", "resolvers"];
const AZURE_KEYS: [&str; 12] = [
    "subscription",
    "resource_group",
    "location",
    "network",
    "network_range",
    "subnet",
    "subnet_range",
    "user",
    "operators",
    "sign_in",
    "tags",
    "principal_file",
];

/// The range of local machines, whatever else is wrong with their backend.
pub(super) fn local_range(root: &Section<'_>) -> Option<Range> {
    let section = root.optional("local")?.section()?;
    let entry =
        section.required("range", "write the addresses of local machines, as \"172.30.8.0/24\"")?;
    let range = address::range(&entry)?;
    if range.has_room() {
        return Some(range);
    }
    entry.wrong(format!("{range} is no network for machines"), "write a range from /16 to /29")
}

pub(super) fn local(
    section: &Section<'_>,
    range: Option<Range>,
    paths: Paths<'_>,
) -> Option<LocalBackend> {
    section.only(&LOCAL_KEYS);
    let socket =
        section.required("socket", "write the engine's socket, as \"/var/run/docker.sock\"");
    let socket = socket.and_then(|entry| paths.socket(&entry));
    let image =
        section.required("image", "write the image of machines, as \"avishkar/machine:dev\"");
    let image = image.and_then(|entry| entry.text());
    let resolvers = match section.optional("resolvers") {
        None => Some(Vec::new()),
        Some(entry) => resolvers(&entry),
    };
    Some(LocalBackend {
        socket: socket?,
        image: image?.to_owned(),
        range: range?.to_string(),
        resolvers: resolvers?,
    })
}

fn resolvers(entry: &Entry<'_>) -> Option<Vec<IpAddr>> {
    let resolver = |entry: &Entry<'_>| {
        let hint =
            "write the address of a name server, as \"192.0.2.53\", or nothing for this computer's";
        let address: Ipv4Addr = entry.parsed(hint)?;
        match address::unreachable(address) {
            None => Some(IpAddr::V4(address)),
            Some(why) => {
                entry.wrong(format!("no machine reaches a name server at {address}: {why}"), hint)
            }
        }
    };
    let found: Vec<Option<IpAddr>> = entry.list()?.iter().map(resolver).collect();
    found.into_iter().collect()
}

pub(super) fn azure(section: &Section<'_>, paths: Paths<'_>) -> Option<AzureBackend> {
    section.only(&AZURE_KEYS);
    let subscription = section.required("subscription", "write the id of the subscription");
    let subscription = subscription.and_then(|entry| subscription_id(&entry));
    let [resource_group, location, network, subnet] = NAMES.map(|name| name.read(section));
    let (network_range, subnet_range) = ranges_of(section).unzip();
    let user = azure_user(section);
    let operators =
        section.required("operators", "write from where people sign in, as [\"192.0.2.0/24\"]");
    let operators = operators.and_then(|entry| ranges(&entry));
    let sign_in = sign_in(section, operators.as_deref());
    let tags = match section.optional("tags") {
        None => Some(BTreeMap::new()),
        Some(entry) => tags(&entry),
    };
    let principal_file = match section.optional("principal_file") {
        None => Some(None),
        Some(entry) => paths.secret(&entry).map(Some),
    };
    Some(AzureBackend {
        subscription: subscription?,
        resource_group: resource_group?,
        location: location?,
        network: network?,
        network_range: network_range?.to_string(),
        subnet: subnet?,
        subnet_range: subnet_range?.to_string(),
        user: user?,
        operators: operators?,
        sign_in: sign_in?,
        tags: tags?,
        principal_file: principal_file?,
    })
}

/// What Azure calls something, as it takes it.
#[derive(Clone, Copy)]
struct AzureName {
    key: &'static str,
    hint: &'static str,
    longest: usize,
    /// Beside letters and digits, which it begins with.
    signs: &'static str,
}

const NAMES: [AzureName; 4] = [
    AzureName {
        key: "resource_group",
        hint: "write the name of the resource group",
        longest: 90,
        signs: "_-.()",
    },
    AzureName {
        key: "location",
        hint: "write the region, as \"westeurope\"",
        longest: 40,
        signs: "",
    },
    AzureName {
        key: "network",
        hint: "write the name of the virtual network",
        longest: 64,
        signs: "_-.",
    },
    AzureName { key: "subnet", hint: "write the name of the subnet", longest: 80, signs: "_-." },
];

impl AzureName {
    fn read(self, section: &Section<'_>) -> Option<String> {
        let AzureName { key, hint, longest, signs } = self;
        let entry = section.required(key, hint)?;
        let text = entry.text()?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || signs.as_bytes().contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= longest && text.bytes().all(allowed) && !text.ends_with('.') {
            return Some(text.to_owned());
        }
        entry.wrong(format!("Azure calls nothing {text:?}"), hint)
    }
}

/// Of the network, and of the subnet in it.
fn ranges_of(section: &Section<'_>) -> Option<(Range, Range)> {
    let hint = "write its addresses, as \"10.0.0.0/16\"";
    let network = section.required("network_range", hint);
    let network = network.and_then(|entry| address::range(&entry));
    let hint = "write its addresses, as \"10.0.0.0/24\"";
    let entry = section.required("subnet_range", hint);
    let subnet = entry.as_ref().and_then(address::range);
    let (network, subnet) = (network?, subnet?);
    if !network.has(subnet) {
        let message = format!("{subnet} is no part of {network}, azure.network_range");
        return entry?.wrong(message, "write a part of the network's addresses");
    }
    Some((network, subnet))
}

/// By which address one signs in. `operators` are those who are let in from outside, if that is right.
fn sign_in(section: &Section<'_>, operators: Option<&[String]>) -> Option<SignIn> {
    let found = match section.optional("sign_in") {
        None => SignIn::Public,
        Some(entry) => match entry.word(&["public", "private"])? {
            "private" => SignIn::Private,
            _ => SignIn::Public,
        },
    };
    if found == SignIn::Public && operators.is_some_and(<[String]>::is_empty) {
        let hint = "write from where, as [\"192.0.2.0/24\"]; or sign_in = \"private\"";
        return section.optional("operators")?.wrong("nobody could sign in from here", hint);
    }
    Some(found)
}

/// As whom one signs in to machines of Azure.
pub(super) fn azure_user(section: &Section<'_>) -> Option<String> {
    let entry = section.required("user", "write whom to be on the machines, as \"ops\"")?;
    let user = user_name(&entry)?;
    if user == "root" {
        return entry.wrong("Azure lets nobody sign in as root", "write another name, as \"ops\"");
    }
    Some(user)
}

fn subscription_id(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let allowed = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if text.len() == 36 && text.bytes().all(allowed) {
        return Some(text.to_owned());
    }
    entry.wrong(
        format!("{text:?} is no id of 36 hexadecimal digits and dashes"),
        "`az account show` shows it as id",
    )
}

pub(super) fn ranges(entry: &Entry<'_>) -> Option<Vec<String>> {
    let ranges = entry.list()?;
    let ranges: Vec<Option<Range>> = ranges.iter().map(address::range).collect();
    ranges.into_iter().map(|range| range.map(|range| range.to_string())).collect()
}

fn tags(entry: &Entry<'_>) -> Option<BTreeMap<String, String>> {
    let pairs = entry.pairs()?;
    let tags: Vec<_> = pairs
        .iter()
        .map(|(name, entry)| {
            if name.is_empty() || name.starts_with("avishkar") {
                return entry.wrong(
                    format!("the tag {name:?} is the platform's own"),
                    "call it something else",
                );
            }
            Some(((*name).to_owned(), entry.text()?.to_owned()))
        })
        .collect();
    tags.into_iter().collect()
}
