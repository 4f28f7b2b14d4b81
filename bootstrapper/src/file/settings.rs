//! `[settings.<service>]`: what an operator says in a service's own file, as far as that makes sense in a fleet.

mod table;

use std::collections::BTreeMap;
use std::str::FromStr as _;

use common::service::ServiceName;
use rollout::parts::{Setting, Settings};
use toml::{Table, Value};

use self::table::{EVERYWHERE, of, orders};
use super::here::Paths;
use super::nearest::suggestion;
use super::section::{Entry, Section};

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// From the first to the second.
    Whole(i64, i64),
    Number(f64, f64),
    Words(&'static [&'static str]),
    /// A file of JSON on the operator's computer: services get what stands in it.
    File,
}

/// Every setting that may be said, by its service, with what it may be.
pub fn settable() -> impl Iterator<Item = (ServiceName, &'static str, Kind)> {
    services().flat_map(|service| all(service).map(move |(key, kind)| (service, key, kind)))
}

fn services() -> impl Iterator<Item = ServiceName> {
    ServiceName::ALL.into_iter().filter(|service| !of(*service).is_empty())
}

fn all(service: ServiceName) -> impl Iterator<Item = (&'static str, Kind)> {
    of(service).iter().chain(EVERYWHERE).copied()
}

/// The services' own files, for what is not said.
fn defaults(service: ServiceName) -> Table {
    let text = match service {
        ServiceName::AppManager => include_str!("../../../config/app-manager.toml"),
        ServiceName::DeploymentManager => include_str!("../../../config/deployment-manager.toml"),
        ServiceName::NodeManager => include_str!("../../../config/node-manager.toml"),
        ServiceName::LoadBalancer => include_str!("../../../config/load-balancer.toml"),
        ServiceName::Monitoring => include_str!("../../../config/monitoring.toml"),
        ServiceName::LifecycleManager => include_str!("../../../config/lifecycle-manager.toml"),
        ServiceName::PlatformInitializer => {
            include_str!("../../../config/platform-initializer.toml")
        }
        ServiceName::NodeAgent => include_str!("../../../config/node-agent.toml"),
    };
    text.parse().expect("a test reads every one of them")
}

/// What the file says.
pub(super) fn read(entry: &Entry<'_>, paths: Paths<'_>) -> Option<BTreeMap<ServiceName, Settings>> {
    let known: Vec<&str> = services().map(ServiceName::as_str).collect();
    let read = entry.pairs()?.into_iter().map(|(name, entry)| {
        let service = ServiceName::from_str(name).ok().filter(|_| known.contains(&name));
        let Some(service) = service else {
            return entry.wrong(
                format!("{name:?} is no service that has settings"),
                suggestion(name, &known),
            );
        };
        Some((service, of_service(&entry, service, paths)?))
    });
    // Each is looked at, so that all that is wrong is told.
    let read: Vec<Option<(ServiceName, Settings)>> = read.collect();
    read.into_iter().collect()
}

/// One that was read, and where.
struct Read<'a> {
    key: &'static str,
    entry: Entry<'a>,
    setting: Setting,
    /// What the service would be told on this computer.
    here: String,
}

fn of_service(entry: &Entry<'_>, service: ServiceName, paths: Paths<'_>) -> Option<Settings> {
    let defaults = defaults(service);
    let mut sections: Vec<&str> =
        all(service).filter_map(|(key, _)| key.split_once('.')).map(|(name, _)| name).collect();
    sections.dedup();
    let mut read = Vec::new();
    let mut is_right = true;
    for (name, entry) in entry.pairs()? {
        if !sections.contains(&name) {
            is_right = false;
            refuse(&entry, defaults.contains_key(name), name, &sections);
            continue;
        }
        let Some(section) = entry.section() else {
            is_right = false;
            continue;
        };
        is_right &= of_section(&section, (service, name), (&defaults, paths), &mut read).is_some();
    }
    for (low, high) in orders(service) {
        is_right &= is_ordered(&read, &defaults, (low, high)).is_some();
    }
    if is_right {
        is_right = is_taken(entry, service, &read, paths).is_some();
    }
    let settings = read.into_iter().map(|one| (one.key.to_owned(), one.setting));
    is_right.then(|| settings.collect())
}

/// Whether the service itself takes what is right by itself.
fn is_taken(
    entry: &Entry<'_>,
    service: ServiceName,
    read: &[Read<'_>],
    paths: Paths<'_>,
) -> Option<()> {
    let said = read.iter().map(|one| (one.key.to_owned(), one.here.clone())).collect();
    let refused = paths.here.refuses(service, &said);
    for (key, clause) in &refused {
        let at = read.iter().find(|one| key.starts_with(one.key));
        let hint = format!("see config/{service}.toml");
        at.map_or(entry, |one| &one.entry).wrong::<()>(format!("{key}: {clause}"), hint);
    }
    refused.is_empty().then_some(())
}

fn of_section<'a>(
    section: &Section<'a>,
    (service, name): (ServiceName, &str),
    (defaults, paths): (&Table, Paths<'_>),
    read: &mut Vec<Read<'a>>,
) -> Option<()> {
    let known: Vec<(&str, &'static str, Kind)> = all(service)
        .filter_map(|(key, kind)| Some((key, key.split_once('.')?, kind)))
        .filter(|(_, (section, _), _)| *section == name)
        .map(|(key, (_, short), kind)| (short, key, kind))
        .collect();
    let mut is_right = true;
    for (short, entry) in section.all() {
        let Some((_, key, kind)) = known.iter().find(|(known, ..)| *known == short) else {
            let is_there = defaults.get(name).and_then(Value::as_table);
            let is_there = is_there.is_some_and(|table| table.contains_key(short));
            let known: Vec<&str> = known.iter().map(|(short, ..)| *short).collect();
            refuse(&entry, is_there, short, &known);
            is_right = false;
            continue;
        };
        match setting(&entry, *kind, paths) {
            Some((setting, here)) => read.push(Read { key, entry, setting, here }),
            None => is_right = false,
        }
    }
    is_right.then_some(())
}

/// What the service knows is told from what nobody does.
fn refuse(entry: &Entry<'_>, is_the_platforms: bool, name: &str, known: &[&str]) {
    if is_the_platforms {
        let hint = format!("take it away; to be set here: {}", known.join(", "));
        entry.wrong::<()>("in a fleet it follows from the rest of this file", hint);
    } else {
        entry.wrong::<()>("there is no such key", suggestion(name, known));
    }
}

/// With what the service would be told here: of a file its path.
fn setting(entry: &Entry<'_>, kind: Kind, paths: Paths<'_>) -> Option<(Setting, String)> {
    let value = match kind {
        Kind::Whole(least, most) => entry.whole(least..=most)?.to_string(),
        Kind::Number(least, most) => entry.number(least..=most)?,
        Kind::Words(words) => entry.word(words)?.to_owned(),
        Kind::File => {
            let (path, text) = (paths.meant(entry)?, paths.text(entry)?);
            if let Err(err) = serde_json::from_str::<serde_json::Value>(&text) {
                let hint = "give a file in the form of document 001";
                return entry.wrong(format!("there is no JSON in it: {err}"), hint);
            }
            return Some((Setting::File(text), path.to_string_lossy().into_owned()));
        }
    };
    Some((Setting::Value(value.clone()), value))
}

fn is_ordered(
    read: &[Read<'_>],
    defaults: &Table,
    (low, high): (&'static str, &'static str),
) -> Option<()> {
    let find = |key: &str| read.iter().find(|one| one.key == key);
    let said = |key: &str| match find(key).map(|one| &one.setting) {
        Some(Setting::Value(value)) => Some(value.clone()),
        Some(Setting::File(_)) | None => {
            let (section, short) = key.split_once('.')?;
            Some(defaults.get(section)?.get(short)?.to_string())
        }
    };
    let (least, most) = (said(low)?, said(high)?);
    if least.parse::<f64>().ok()? <= most.parse::<f64>().ok()? {
        return Some(());
    }
    match (find(high), find(low)) {
        (Some(one), _) => one.entry.wrong(
            format!("it is below {low}, which is {least}"),
            format!("write {least} or more"),
        ),
        (None, Some(one)) => one.entry.wrong(
            format!("it is above {high}, which is {most}"),
            format!("write {most} or less, or say {high}"),
        ),
        (None, None) => Some(()),
    }
}
