//! What every Rust file keeps.

use super::none;
use super::rust;
use super::tree::Tree;

/// What a reader takes in at once.
const LINES: usize = 400;
/// The clients of technologies, as code names them.
const CLIENTS: [&str; 4] = ["bollard", "object_store", "rdkafka", "zookeeper_client"];
const NAME_CLIENTS: [&str; 5] = ["adapters/", "chassis/", "avishkar/", "e2e/", "benches/"];
/// The crates whose HTTP stands in one folder.
const SERVICES: [&str; 5] =
    ["app-manager/", "deployment-manager/", "load-balancer/", "node-agent/", "node-manager/"];

fn lengths(tree: &Tree) -> Vec<String> {
    tree.ending(".rs")
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect()
}

fn technologies(tree: &Tree) -> Vec<String> {
    let others = tree
        .ending(".rs")
        .filter(|(path, _)| !NAME_CLIENTS.iter().any(|folder| path.starts_with(folder)));
    named(others, |word| CLIENTS.contains(&word))
}

fn http(tree: &Tree) -> Vec<String> {
    let elsewhere = tree.ending(".rs").filter(|(path, _)| {
        let inside = SERVICES.iter().find_map(|folder| path.strip_prefix(folder));
        inside.and_then(|inside| inside.strip_prefix("src/")).is_some_and(|inside| {
            !inside.starts_with("http/") && !matches!(inside, "http.rs" | "service.rs")
        })
    });
    named(elsewhere, |word| word.starts_with("actix"))
}

/// Where identifiers stand that must not.
fn named<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    banned: fn(&str) -> bool,
) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in files.filter(|(path, _)| !rust::holds_tests(path)) {
        let source = rust::read(rust::without_tests(text));
        for (line, word) in rust::identifiers(&source.code).filter(|(_, word)| banned(word)) {
            offences.push(format!("{path}:{line} names {word}"));
        }
    }
    offences
}

fn shortcuts(tree: &Tree) -> Vec<String> {
    let banned = ["todo!", "unimplemented!", "#[ignore", "#[should_panic", "#[allow(", "#![allow("];
    let mut offences = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let source = rust::read(text);
        for (number, line) in (1..).zip(source.code.lines()) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                offences.push(format!("{path}:{number} has {word}"));
            }
        }
    }
    offences
}

fn module_docs(tree: &Tree) -> Vec<String> {
    tree.ending(".rs")
        .filter(|(path, _)| path.contains("/src/") && !rust::holds_tests(path))
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| format!("{path} does not say what it owns"))
        .collect()
}

/// Files that no module names: cargo never compiles them, whatever their tests claim.
fn orphans(tree: &Tree) -> Vec<String> {
    let is_module_of = |parent: &str, declared: &str| {
        let text = tree.text(parent).unwrap_or_default();
        let of_any =
            |line: &str| line.starts_with("pub") && line.ends_with(&format!(" {declared}"));
        text.lines().any(|line| line.trim() == declared || of_any(line.trim()))
    };
    let mut orphans = Vec::new();
    for (path, _) in tree.ending(".rs") {
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        if ["main.rs", "lib.rs"].contains(&name) {
            continue;
        }
        let declared = format!("mod {};", name.trim_end_matches(".rs"));
        let parents =
            [format!("{folder}/main.rs"), format!("{folder}/lib.rs"), format!("{folder}.rs")];
        if !parents.iter().any(|parent| is_module_of(parent, &declared)) {
            orphans.push(format!("{path} is no module of any crate"));
        }
    }
    orphans
}

#[test]
fn every_source_file_is_compiled() {
    none(&orphans(&Tree::read()));
}

#[test]
fn no_source_file_has_more_than_400_lines() {
    none(&lengths(&Tree::read()));
}

#[test]
fn only_adapters_chassis_and_the_binary_name_a_technology() {
    none(&technologies(&Tree::read()));
}

#[test]
fn a_service_names_actix_in_its_http_folder_only() {
    none(&http(&Tree::read()));
}

#[test]
fn nothing_is_left_to_do_ignored_or_allowed() {
    none(&shortcuts(&Tree::read()));
}

#[test]
fn every_source_file_begins_with_what_it_owns() {
    none(&module_docs(&Tree::read()));
}

#[test]
fn planted_sources_are_found() {
    let long = "//! Long.\n".repeat(LINES + 1);
    let tree = Tree::planted(&[
        ("app-manager/src/commands/deploy.rs", "//! One.\nuse actix_web::web;\n#[ignore]\n"),
        ("app-manager/src/http/apps.rs", "//! Two.\nuse actix_web::web; // todo!\n"),
        ("node-agent/src/apply.rs", "use bollard::Docker;\nfn f() { todo!(\"#[allow(x)]\") }\n"),
        ("adapters/src/docker.rs", &long),
    ]);
    assert_eq!(lengths(&tree), ["adapters/src/docker.rs has 401 lines"]);
    assert_eq!(technologies(&tree), ["node-agent/src/apply.rs:1 names bollard"]);
    assert_eq!(http(&tree), ["app-manager/src/commands/deploy.rs:2 names actix_web"]);
    assert_eq!(
        shortcuts(&tree),
        [
            "app-manager/src/commands/deploy.rs:3 has #[ignore",
            "node-agent/src/apply.rs:2 has todo!"
        ]
    );
    assert_eq!(module_docs(&tree), ["node-agent/src/apply.rs does not say what it owns"]);
}

#[test]
fn a_planted_orphan_is_found() {
    let tree = Tree::planted(&[
        ("common/src/lib.rs", "//! Top.\npub mod port;\n"),
        ("common/src/port.rs", "//! Ports.\npub(crate) mod bus;\n// mod store;\n"),
        ("common/src/port/bus.rs", "//! One.\n"),
        ("common/src/port/store.rs", "//! Nobody's.\n"),
        ("common/tests/it/main.rs", "mod names;\n"),
        ("common/tests/it/names.rs", "//! Two.\n"),
        ("common/tests/it/ports.rs", "//! Nobody's.\n"),
    ]);
    let expected = ["common/src/port/store.rs", "common/tests/it/ports.rs"];
    assert_eq!(orphans(&tree), expected.map(|path| format!("{path} is no module of any crate")));
}
