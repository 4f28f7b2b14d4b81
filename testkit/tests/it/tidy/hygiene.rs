//! What no file holds: paths of one machine, addresses of package registries, real addresses in
//! examples.

use common::service::ServiceName;

use super::none;
use super::tree::Tree;

/// Written in two parts, so that this file keeps the rule too.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/tmp/bash", "_jobs")];
/// Below `docker/` it is a folder of an image.
const ROOTS_HOME: &str = concat!("/ro", "ot/");
/// Where packages come from is the machine's business: its own configuration says it.
const REGISTRIES: [&str; 14] = [
    "crates.io",
    "deb.debian.org",
    "docker.io",
    "files.pythonhosted.org",
    "gcr.io",
    "ghcr.io",
    "npmjs.com",
    "npmjs.org",
    "proxy.golang.org",
    "pypi.org",
    "quay.io",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "rubygems.org",
];

/// Configurations of commands: of `up`, and of `bootstrap` its manual and an example.
const OF_COMMANDS: [&str; 3] = ["up", "platform", "fleet-local"];

fn machine_paths(tree: &Tree) -> Vec<String> {
    let found = |path: &str, line: &str| {
        let home = (!path.starts_with("docker/")).then_some(ROOTS_HOME);
        MACHINE_PATHS.into_iter().chain(home).find(|banned| line.contains(banned))
    };
    lines_with(tree, found)
}

fn registries(tree: &Tree) -> Vec<String> {
    lines_with(tree, |_, line| {
        let hosts = line.split("://").skip(1).filter_map(|rest| {
            rest.split(|letter: char| !letter.is_alphanumeric() && !"-.".contains(letter)).next()
        });
        hosts.into_iter().find_map(|host| {
            let under = |registry: &str| {
                host.strip_suffix(registry)
                    .is_some_and(|left| left.is_empty() || left.ends_with('.'))
            };
            REGISTRIES.iter().copied().find(|registry| under(registry))
        })
    })
}

fn lines_with(tree: &Tree, banned: impl Fn(&str, &str) -> Option<&'static str>) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| *path != "Cargo.lock") {
        for (number, line) in (1..).zip(text.lines()) {
            offences.extend(banned(path, line).map(|what| format!("{path}:{number} has {what}")));
        }
    }
    offences
}

/// Golden files show example addresses (RFC 5737) and no others.
fn golden_addresses(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.contains("/golden/")) {
        for address in addresses(text).filter(|address| !address.starts_with("192.0.2.")) {
            offences.push(format!("{path} has {address}"));
        }
    }
    offences
}

fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let words = words.map(|word| word.trim_matches('.'));
    words
        .filter(|word| word.split('.').count() == 4 && word.split('.').all(|part| !part.is_empty()))
}

fn configurations(tree: &Tree) -> Vec<String> {
    let named = |path: &str| {
        let name = path.strip_prefix("config/").and_then(|name| name.strip_suffix(".toml"));
        name.is_some_and(|name| OF_COMMANDS.contains(&name) || name.parse::<ServiceName>().is_ok())
    };
    tree.within("config/")
        .filter(|(path, _)| !named(path) && *path != "config/README.md")
        .map(|(path, _)| format!("{path} is not named after a service"))
        .collect()
}

#[test]
fn no_file_has_a_path_of_one_machine() {
    none(&machine_paths(&Tree::read()));
}

#[test]
fn no_file_has_the_address_of_a_package_registry() {
    none(&registries(&Tree::read()));
}

#[test]
fn golden_files_have_example_addresses_only() {
    none(&golden_addresses(&Tree::read()));
}

#[test]
fn every_configuration_file_is_named_after_a_service_or_is_a_commands() {
    none(&configurations(&Tree::read()));
}

#[test]
fn planted_traces_are_found() {
    let machine = format!("cd {}main\ncat {ROOTS_HOME}.npmrc\n", MACHINE_PATHS.first().unwrap());
    let tree = Tree::planted(&[
        ("Makefile", machine.as_str()),
        ("docker/a.sh", concat!("cp x /ro", "ot/\n")),
        ("docker/a/Dockerfile", concat!("RUN pip -i https:/", "/files.py", "thonhosted.org/x\n")),
        ("docs/b.md", concat!("[x](https:/", "/mydocker.io/x) example.org\n")),
        ("Cargo.lock", concat!("https:/", "/github.com/rust-lang/crates", ".io-index\n")),
        (
            "common/tests/golden/8.json",
            "{\"ip\": \"192.0.2.7:2000\", \"v\": \"10.0.0.1\", \"n\": 1.5}",
        ),
        ("config/node-agent.toml", ""),
        ("config/cache.toml", ""),
    ]);
    assert_eq!(machine_paths(&tree).len(), 2);
    assert_eq!(registries(&tree), ["docker/a/Dockerfile:1 has files.pythonhosted.org"]);
    assert_eq!(golden_addresses(&tree), ["common/tests/golden/8.json has 10.0.0.1"]);
    assert_eq!(configurations(&tree), ["config/cache.toml is not named after a service"]);
}
