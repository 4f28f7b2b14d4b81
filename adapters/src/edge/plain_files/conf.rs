//! The files as a function of the table: one per app as document 001 has it, and one for what they have in common.
//!
//! Whatever comes from a table is of a type that has no character with a meaning to nginx.

mod app;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use common::digest::hex;
use common::id::{Epoch, Generation};
use common::port::edge::{Table, TableRoute, Upstream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::FilesSettings;
use super::files::Owned;

/// The first line of each of our files: what has another one is somebody else's.
pub(super) const MARK: &str =
    "# Written by Avishkar, and again with every change: nothing that you change stays.";
/// No app's name begins with a digit, and nginx reads it before theirs.
pub(super) const COMMON_FILE: &str = "00-avishkar.conf";
pub(super) const CONTROL_PATH: &str = "/avishkar";
/// By which nginx knows our own question: a busy app is not one that is down.
pub(super) const PROBING_AGENT: &str = "avishkar-edge";

/// Which table: two of the same generation are told apart by the digest of their routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) epoch: Epoch,
    pub(super) generation: Generation,
    pub(super) digest: String,
}

impl Version {
    pub(super) fn of(table: &Table) -> Self {
        let routes = serde_json::to_vec(&table.routes).expect("routes have text keys only");
        let digest = hex(&Sha256::digest(&routes));
        Version { epoch: table.epoch, generation: table.generation, digest }
    }
}

/// All files of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conf {
    pub(super) version: Version,
    /// By name in the folder.
    pub(super) files: BTreeMap<String, String>,
}

/// What the file of all says of the table and of the others, for whoever comes after us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) version: Version,
    /// Front ports that nginx has open: those of apps, and of apps that were there before.
    pub(super) ports: BTreeSet<u16>,
    pub(super) replicas: BTreeSet<SocketAddr>,
    /// The digest of each app's file.
    pub(super) files: BTreeMap<String, String>,
}

pub(super) fn render(
    table: &Table,
    version: Version,
    owned: &Owned,
    settings: &FilesSettings,
) -> Result<Conf, String> {
    check(table, settings)?;
    if owned.is_foreign(COMMON_FILE) {
        return Err(format!("{COMMON_FILE} is somebody else's"));
    }
    let mut files = BTreeMap::new();
    for route in &table.routes {
        let (name, text) = file_of(route, owned, settings)?;
        files.insert(name, text);
    }
    let upstreams = table.routes.iter().flat_map(|route| &route.upstreams);
    let mut ports: BTreeSet<u16> = table.routes.iter().map(|route| route.front_port).collect();
    let of_apps = ports.clone();
    let range = settings.first_port..=settings.last_port;
    ports.extend(owned.ports().iter().filter(|port| range.contains(port)));
    let manifest = Manifest {
        version: version.clone(),
        replicas: upstreams.map(Upstream::address).collect(),
        files: files.iter().map(|(name, text)| (name.clone(), digest(text.as_bytes()))).collect(),
        ports,
    };
    let free = manifest.ports.difference(&of_apps).copied().collect();
    files.insert(COMMON_FILE.to_owned(), common_file(&manifest, &free, settings));
    Ok(Conf { version, files })
}

/// One app's file: its name, and what it says.
pub(super) fn file_of(
    route: &TableRoute,
    owned: &Owned,
    settings: &FilesSettings,
) -> Result<(String, String), String> {
    Ok((name_of(route.instance.as_str(), owned)?, app::file(route, settings)))
}

/// `<app>.conf`; where that is a stranger's, a name that is no app's.
fn name_of(instance: &str, owned: &Owned) -> Result<String, String> {
    let names = [format!("{instance}.conf"), format!("{instance}.avishkar.conf")];
    let [first, second] = &names;
    let refused = format!("{first} and {second} are somebody else's");
    names.into_iter().find(|name| !owned.is_foreign(name)).ok_or(refused)
}

/// nginx would take two servers on one port for one, and give the second app's visitors to the first.
pub(super) fn check(table: &Table, settings: &FilesSettings) -> Result<(), String> {
    let mut ways = BTreeSet::new();
    let range = settings.first_port..=settings.last_port;
    for route in &table.routes {
        let instance = &route.instance;
        let port = route.front_port;
        if !range.contains(&port) {
            return Err(format!("{instance} has port {port}, which is no front port"));
        }
        let names = route.options.hosts.iter().map(|name| format!("the name {name}"));
        let own = [
            format!("the instance {instance}"),
            format!("port {port}"),
            format!("the label {}", route.host.as_str()),
        ];
        for way in own.into_iter().chain(names) {
            if let Some(way) = ways.replace(way) {
                return Err(format!("{way} is in it twice"));
            }
        }
        route.options.check().map_err(|err| format!("{instance}: {err}"))?;
    }
    Ok(())
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn common_file(manifest: &Manifest, free: &BTreeSet<u16>, settings: &FilesSettings) -> String {
    let version = serde_json::to_string(&manifest.version).expect("a version has text keys only");
    // One short line each: nginx refuses lines of more than 4096 bytes, also where they are for others.
    let mut text = format!("{MARK}\n# table {version}\n");
    for port in &manifest.ports {
        push(&mut text, format_args!("# port {port}"));
    }
    for replica in &manifest.replicas {
        push(&mut text, format_args!("# replica {replica}"));
    }
    for (name, digest) in &manifest.files {
        push(&mut text, format_args!("# file {digest} {name}"));
    }
    if let Some(size) = settings.names_hash_bucket {
        push(&mut text, format_args!("server_names_hash_bucket_size {size};"));
    }
    text.push_str(MAPS);
    let control = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.control_port));
    push(
        &mut text,
        format_args!(
            "server {{\n  listen {control};\n  access_log off;\n  default_type application/json;\n  \
             location = {CONTROL_PATH} {{ return 200 '{version}'; }}\n  location / {{ return 404; }}\n}}\nserver {{"
        ),
    );
    let at = |port| SocketAddr::new(settings.listen, port);
    push(&mut text, format_args!("  listen {} default_server;", at(settings.host_port)));
    for port in free {
        push(&mut text, format_args!("  listen {};", at(*port)));
    }
    text.push_str(NO_APP);
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a text takes whatever is written");
}

/// As the platform's own edge has them. What a visitor says is last: it cannot stand for the addresses before it.
const MAPS: &str = r#"log_format avishkar "$msec $server_port $host $status $request_time $request_length $bytes_sent $upstream_addr";
map $http_upgrade $avishkar_connection { default upgrade; "" close; }
map $http_host $avishkar_host { default $http_host; "" $host; }
map $http_x_request_id $avishkar_request_id {
  default $request_id;
  "~^[A-Za-z0-9._:-]{1,128}$" $http_x_request_id;
}
map "$remote_addr@$server_addr@$http_user_agent" $avishkar_counted {
  default visit;
  "~^([^@]+)@\1@avishkar-edge$" "";
}
"#;

const NO_APP: &str = r#"  server_name _;
  default_type application/json;
  add_header Cache-Control no-store always;
  location / { return 404 '{"code":"ROUTE_UNKNOWN","detail":"no app is routed here"}'; }
}
"#;

impl Manifest {
    /// None where the text is no file of all.
    pub(super) fn read(text: &str) -> Option<Manifest> {
        let mut lines = text.lines();
        if lines.next() != Some(MARK) {
            return None;
        }
        let version = serde_json::from_str(lines.next()?.strip_prefix("# table ")?).ok()?;
        let mut manifest = Manifest { version, ..Manifest::default() };
        for line in lines.map_while(|line| line.strip_prefix("# ")) {
            match line.split_once(' ')? {
                ("port", port) => drop(manifest.ports.insert(port.parse().ok()?)),
                ("replica", replica) => drop(manifest.replicas.insert(replica.parse().ok()?)),
                ("file", file) => {
                    let (digest, name) = file.split_once(' ')?;
                    manifest.files.insert(name.to_owned(), digest.to_owned());
                }
                _ => return None,
            }
        }
        Some(manifest)
    }
}

#[cfg(test)]
mod tests;
