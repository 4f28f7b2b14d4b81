//! Which crate may depend on which (`ARCHITECTURE.md`, code map).

use toml::{Table, Value};

use super::none;
use super::tree::Tree;

/// The crates that are no service, each with those of ours that it may depend on.
const SHARED: [(&str, &[&str]); 4] = [
    ("common", &[]),
    ("chassis", &["common"]),
    ("adapters", &["common"]),
    ("testkit", &["common", "chassis"]),
];
/// What a service may depend on.
const BELOW_SERVICES: &[&str] = &["common", "chassis", "rollout"];
/// The binary and the crates that measure and prove may depend on everything.
const ABOVE_SERVICES: &[&str] = &["avishkar", "e2e", "benches", "sim"];
/// What the simulation may not: each of them links real technologies.
const NOT_SIMULATED: &[&str] = &["adapters", "avishkar", "e2e", "benches"];
/// What `common` may depend on.
const COMMON: &[&str] = &[
    "async-trait",
    "bytes",
    "futures-core",
    "jiff",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "uuid",
];
/// The clients of technologies, and who may name them.
const CLIENTS: &[&str] = &["bollard", "object_store", "rdkafka", "zookeeper-client"];
const NAME_CLIENTS: &[&str] = &["adapters", "chassis", "avishkar", "e2e", "benches"];

/// One crate's `Cargo.toml`.
struct Manifest<'a> {
    folder: &'a str,
    table: Table,
}

impl Manifest<'_> {
    fn dependencies(&self, section: &str) -> impl Iterator<Item = (&str, &Value)> {
        let table = self.table.get(section).and_then(Value::as_table);
        table.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    fn names(&self, section: &str) -> Vec<&str> {
        self.dependencies(section).map(|(name, _)| name).collect()
    }

    fn is_service(&self) -> bool {
        let shared = SHARED.iter().any(|(name, _)| *name == self.folder);
        !shared && self.folder != "rollout" && !ABOVE_SERVICES.contains(&self.folder)
    }
}

fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    let manifest = |(path, text): (_, &str)| {
        let folder = str::strip_suffix(path, "/Cargo.toml")?;
        let table: Table = text.parse().unwrap();
        Some(Manifest { folder, table })
    };
    tree.ending("/Cargo.toml").filter_map(manifest).collect()
}

fn edges(tree: &Tree) -> Vec<String> {
    let manifests = manifests(tree);
    let ours: Vec<&str> = manifests.iter().map(|manifest| manifest.folder).collect();
    let mut offences = Vec::new();
    for manifest in &manifests {
        let folder = manifest.folder;
        let allowed = match SHARED.iter().find(|(name, _)| *name == folder) {
            Some((_, allowed)) => allowed,
            None if folder == "rollout" => &["common"][..],
            None if manifest.is_service() => BELOW_SERVICES,
            None => continue,
        };
        for name in manifest.names("dependencies") {
            if ours.contains(&name) && !allowed.contains(&name) {
                offences.push(format!("{folder} depends on {name}"));
            }
        }
        // A client is tried on the very service it speaks to.
        let tests = manifest.names("dev-dependencies");
        for name in tests.into_iter().filter(|_| folder != "adapters") {
            if ours.contains(&name) && name != "testkit" && !allowed.contains(&name) {
                offences.push(format!("the tests of {folder} depend on {name}"));
            }
        }
    }
    offences
}

fn what_sim_links(tree: &Tree) -> Vec<String> {
    let manifests = manifests(tree);
    let sim = manifests.iter().filter(|manifest| manifest.folder == "sim");
    sim.flat_map(|manifest| {
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
        sections.into_iter().flat_map(|section| manifest.names(section))
    })
    .filter(|name| NOT_SIMULATED.contains(name))
    .map(|name| format!("sim links {name}"))
    .collect()
}

fn what_common_takes(tree: &Tree) -> Vec<String> {
    let manifests = manifests(tree);
    let common = manifests.iter().filter(|manifest| manifest.folder == "common");
    common
        .flat_map(|manifest| manifest.names("dependencies"))
        .filter(|name| !COMMON.contains(name))
        .map(|name| format!("common depends on {name}"))
        .collect()
}

fn technologies(tree: &Tree) -> Vec<String> {
    let manifests = manifests(tree);
    let others = manifests.iter().filter(|manifest| !NAME_CLIENTS.contains(&manifest.folder));
    others
        .flat_map(|manifest| {
            let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
            let names = sections.into_iter().flat_map(|section| manifest.names(section));
            let clients = names.filter(|name| CLIENTS.contains(name));
            clients.map(|name| format!("{} names {name}", manifest.folder)).collect::<Vec<_>>()
        })
        .collect()
}

fn versions(tree: &Tree) -> Vec<String> {
    let inherits =
        |value: &Value| value.get("workspace").and_then(Value::as_bool).unwrap_or_default();
    let mut offences = Vec::new();
    for manifest in manifests(tree) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in manifest.dependencies(section) {
                if !inherits(value) {
                    offences.push(format!("{}: {name} has a version of its own", manifest.folder));
                }
            }
        }
        if !manifest.table.get("lints").is_some_and(inherits) {
            offences.push(format!("{} does not take the lints of the workspace", manifest.folder));
        }
    }
    offences
}

fn readmes(tree: &Tree) -> Vec<String> {
    let manifests = manifests(tree);
    let paths = manifests.iter().map(|manifest| format!("{}/README.md", manifest.folder));
    paths.filter(|path| !tree.has(path)).map(|path| format!("{path} is missing")).collect()
}

#[test]
fn no_service_depends_on_a_service_and_nothing_points_upwards() {
    none(&edges(&Tree::read()));
}

#[test]
fn the_simulation_links_no_real_technology() {
    none(&what_sim_links(&Tree::read()));
}

#[test]
fn common_depends_on_its_list_only() {
    none(&what_common_takes(&Tree::read()));
}

#[test]
fn only_adapters_chassis_and_the_binary_depend_on_a_technology() {
    none(&technologies(&Tree::read()));
}

#[test]
fn versions_and_lints_stand_in_the_workspace() {
    none(&versions(&Tree::read()));
}

#[test]
fn every_crate_has_a_readme() {
    none(&readmes(&Tree::read()));
}

#[test]
fn planted_edges_are_found() {
    let tree = Tree::planted(&[
        (
            "common/Cargo.toml",
            "[package]\n[dependencies]\ntokio = \"1\"\nchassis = { path = \"\" }\n",
        ),
        ("chassis/Cargo.toml", "[package]\n"),
        (
            "node-agent/Cargo.toml",
            "[package]\n[dev-dependencies]\nrdkafka = { workspace = true }\n",
        ),
        (
            "app-manager/Cargo.toml",
            "[package]\n[dependencies]\nnode-agent = { workspace = true }\n",
        ),
        ("sim/Cargo.toml", "[package]\n[dev-dependencies]\nadapters = { workspace = true }\n"),
    ]);
    assert_eq!(edges(&tree), ["app-manager depends on node-agent", "common depends on chassis"]);
    assert_eq!(what_common_takes(&tree), ["common depends on chassis", "common depends on tokio"]);
    assert_eq!(technologies(&tree), ["node-agent names rdkafka"]);
    assert_eq!(what_sim_links(&tree), ["sim links adapters"]);
    assert_eq!(versions(&tree).len(), 7);
    assert_eq!(readmes(&tree).len(), 5);
}
