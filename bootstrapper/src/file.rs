//! `platform.toml`: read at once and whole. Whatever is wrong is told with its line and what to do, all of it
//! together. Nothing is changed, nobody is asked.
//!
//! `config/platform.toml` is its manual.

mod acme;
mod address;
mod alerts;
mod backend;
mod edge;
mod fits;
mod here;
mod images;
mod machine;
mod nearest;
mod placement;
mod problem;
mod section;
mod settings;
mod shares;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use common::name::NodeName;
use common::service::ServiceName;
use rollout::parts::Settings;
use rollout::platform::{Acme, AzurePlace, LocalPlace, Platform};
use toml::de::DeTable;

use self::address::Range;
use self::here::Paths;
use self::machine::{Around, Machines};
use self::problem::Problems;
use self::section::{Entry, Section};
use crate::description::{AzureBackend, Description, KnownReceiver, LocalBackend};

pub use self::here::{Here, Refuses, Seen, ThisComputer};
pub use self::problem::Problem;
pub use self::settings::{Kind, settable};

/// The form of [`Platform`].
pub const SCHEMA: u32 = 1;

const KEYS: [&str; 17] = [
    "name",
    "max_machines",
    "idle_seconds",
    "key_file",
    "build_env",
    "machines",
    "placement",
    "network",
    "edge",
    "acme",
    "alerts",
    "settings",
    "images",
    "local",
    "azure",
    "shares",
    "code",
];
const NAME: &str = "write the platform's name, as name = \"avishkar\"";
const NETWORK_KEYS: [&str; 4] = ["door", "edge", "edge_advertised", "denied"];

/// Reads a file. `folder` is the absolute path of the folder it is in.
pub fn read(text: &str, folder: &Path, here: &dyn Here) -> Result<Description, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = Problems::of(text, errors.is_empty());
    for error in &errors {
        let span = error.span().unwrap_or_default();
        problems.add(span, "", error.message().to_owned(), "see https://toml.io".to_owned());
    }
    let root = Section::root(&table, &problems);
    let found = description(&root, Paths { folder, here });
    match (found, problems.into_list()) {
        (Some(found), list) if list.is_empty() => Ok(found),
        (_, list) => Err(list),
    }
}

fn description(root: &Section<'_>, paths: Paths<'_>) -> Option<Description> {
    root.only(&KEYS);
    let name = root.required("name", NAME).and_then(|entry| machine::name(&entry));
    let known = name.as_ref().map_or("platform", NodeName::as_str);
    let own_key = || Some(paths.folder.join(format!("{known}.key")));
    let key_file = root.optional("key_file").map_or_else(own_key, |entry| paths.meant(&entry));
    let build_env = root.optional("build_env").map_or(Some(None), |one| paths.file(&one).map(Some));
    let state_file = paths.folder.join(format!("{known}.state.json"));
    let local_range = backend::local_range(root);
    let azure_user = azure_user(root);
    let around = Around {
        paths,
        key_file: key_file.as_deref().unwrap_or(paths.folder),
        local: local_range,
        azure_user: azure_user.as_deref(),
    };
    let machines = machine::read(root, around);
    let added = added(root, &machines);
    let placement = placement::read(root, &machines.names);
    let network = network(root);
    let edge = edge::read(root);
    let images = images::read(root, paths, edge::moves(edge.as_ref()));
    let shares = shares::read(root, paths);
    let of_services = of_services(root, paths);
    let backends = backends(root, &machines, local_range, paths);
    let Network { door, edge_bind, edge_advertised, denied_networks } = network?;
    let Backends { local, azure } = backends?;
    let shares::Found { shares, code } = shares?;
    let Added { max_machines, idle_seconds } = added?;
    let OfServices { acme, receivers, settings } = of_services?;
    let platform = Platform {
        schema: SCHEMA,
        name: name?,
        machines: machines.planned,
        placement: placement?,
        images: BTreeMap::new(),
        denied_networks,
        door,
        edge_bind,
        edge_advertised,
        edge: edge?,
        acme,
        local: local.as_ref().map(place),
        code,
        azure: azure.as_ref().map(azure_place),
        max_machines,
        idle_seconds,
    };
    fits::fits(root, &platform, local_range)?;
    Some(Description {
        platform,
        images: images?,
        local,
        azure,
        key_file: key_file?,
        build_env: build_env?,
        shares,
        receivers,
        settings,
        state_file,
    })
}

/// What is said of services themselves.
struct OfServices {
    acme: Option<Acme>,
    receivers: Vec<KnownReceiver>,
    settings: BTreeMap<ServiceName, Settings>,
}

fn of_services(root: &Section<'_>, paths: Paths<'_>) -> Option<OfServices> {
    let acme = root.optional("acme").map_or(Some(None), |one| acme::read(&one, paths).map(Some));
    let receivers = root.optional("alerts");
    let receivers = receivers.map_or(Some(Vec::new()), |one| alerts::read(&one, paths));
    let settings = root.optional("settings");
    let settings = settings.map_or(Some(BTreeMap::new()), |one| settings::read(&one, paths));
    Some(OfServices { acme: acme?, receivers: receivers?, settings: settings? })
}

/// What is said of machines that are added where apps need more room.
struct Added {
    max_machines: Option<u16>,
    idle_seconds: Option<u32>,
}

fn added(root: &Section<'_>, machines: &Machines) -> Option<Added> {
    let most = root.optional("max_machines");
    let most = most.map_or(Some(None), |entry| most_of(&entry, machines).map(Some));
    let idle = root.optional("idle_seconds");
    let idle = idle.map_or(Some(None), |entry| idle_of(&entry).map(Some));
    Some(Added { max_machines: most?, idle_seconds: idle? })
}

/// As lifecycle managers take it.
fn idle_of(entry: &Entry<'_>) -> Option<u32> {
    let seconds = entry.whole(0..=86_400)?;
    if (1..60).contains(&seconds) {
        let hint = "write 60 or more, or 0 if none is ever to be taken away";
        return entry.wrong("less than a minute is too short".to_owned(), hint.to_owned());
    }
    u32::try_from(seconds).ok()
}

/// As many as there are from the beginning, or more.
fn most_of(entry: &Entry<'_>, machines: &Machines) -> Option<u16> {
    let (most, machines) = (entry.whole(1..=1000)?, machines.names.len());
    if usize::try_from(most).is_ok_and(|most| most < machines) {
        let hint = format!("write {machines} or more, or nothing if none is ever to be added");
        return entry.wrong(format!("the file has {machines} machines already"), hint);
    }
    u16::try_from(most).ok()
}

/// The same for lifecycle managers, which have the engine's socket elsewhere.
fn place(local: &LocalBackend) -> LocalPlace {
    let LocalBackend { image, range, resolvers, .. } = local.clone();
    let are_resolvers_named = !resolvers.is_empty();
    LocalPlace { image, range, resolvers, are_resolvers_named }
}

/// The same of Azure. Lifecycle managers sign in from inside.
fn azure_place(azure: &AzureBackend) -> AzurePlace {
    let AzureBackend { subscription, resource_group, location, network, .. } = azure.clone();
    let AzureBackend { network_range, subnet, subnet_range, user, operators, tags, .. } =
        azure.clone();
    AzurePlace {
        subscription,
        resource_group,
        location,
        network,
        network_range,
        subnet,
        subnet_range,
        user,
        operators,
        tags,
    }
}

/// As whom one signs in to machines of Azure.
fn azure_user(root: &Section<'_>) -> Option<String> {
    backend::azure_user(&root.optional("azure")?.section()?)
}

/// `[network]`.
struct Network {
    door: IpAddr,
    edge_bind: IpAddr,
    edge_advertised: Option<IpAddr>,
    denied_networks: Vec<String>,
}

fn network(root: &Section<'_>) -> Option<Network> {
    let hint = "write a [network]: see config/platform.toml";
    let section = root.required("network", hint)?.section()?;
    section.only(&NETWORK_KEYS);
    let listener = |key: &str, hint: &str| {
        section.required(key, hint).and_then(|entry| address::to_listen_on(&entry))
    };
    let door = listener("door", "write where the app manager listens, as door = \"127.0.0.1\"");
    let edge_bind = listener("edge", "write where the edge listens, as edge = \"0.0.0.0\"");
    let edge_advertised = match section.optional("edge_advertised") {
        None => Some(None),
        Some(entry) => address::of_machine(&entry).map(|address| Some(address.into())),
    };
    let hint = "write the machines' own network, as denied = [\"192.0.2.0/24\"]";
    let denied = section.required("denied", hint).and_then(|entry| backend::ranges(&entry));
    Some(Network {
        door: door?,
        edge_bind: edge_bind?,
        edge_advertised: edge_advertised?,
        denied_networks: denied?,
    })
}

struct Backends {
    local: Option<LocalBackend>,
    azure: Option<AzureBackend>,
}

/// Every kind of machine that is made has its backend.
fn backends(
    root: &Section<'_>,
    machines: &Machines,
    range: Option<Range>,
    paths: Paths<'_>,
) -> Option<Backends> {
    let section = |kind: &'static str, hint: &str| {
        let found = root.optional(kind);
        if found.is_none() && machines.kinds.contains(&kind) {
            root.missing(kind, hint);
            return None;
        }
        Some(found)
    };
    let local = match section("local", "write a [local], with socket, image and range") {
        Some(Some(entry)) => {
            entry.section().and_then(|section| backend::local(&section, range, paths)).map(Some)
        }
        Some(None) => Some(None),
        None => None,
    };
    let azure = match section("azure", "write an [azure]: see config/platform.toml") {
        Some(Some(entry)) => {
            entry.section().and_then(|section| backend::azure(&section, paths)).map(Some)
        }
        Some(None) => Some(None),
        None => None,
    };
    Some(Backends { local: local?, azure: azure? })
}
