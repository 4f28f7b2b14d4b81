//! Every code that a person may meet has a page in `docs/errors/`, and no page is about nothing.

use std::collections::{BTreeMap, BTreeSet};

use common::failure::FailureCode;

use super::none;
use super::rust::{self, Literal};
use super::tree::Tree;

const FOLDER: &str = "docs/errors/";
/// What answers with codes of its own and is not Rust: the edge, and what serves models.
const OTHERS: [&str; 2] = ["docker/edge/", "docker/runtime-python/"];
/// Texts that look like codes and are none: variables of the environment, serde's names of cases, and rights of the kernel.
const NO_CODES: [&str; 5] =
    ["SCREAMING_SNAKE_CASE", "ID_LIKE", "NET_ADMIN", "NET_RAW", "SYS_RESOURCE"];
const VARIABLES: [&str; 17] = [
    "ADDRESS_",
    "AVISHKAR_",
    "AZURE_",
    "CARGO_",
    "DEBIAN_",
    "EDGE_BIND",
    "EDGE_HOST_PORT",
    "EDGE_REQUESTS_",
    "EDGE_RESERVED",
    "EDGE_TLS_",
    "KAFKA_",
    "LC_",
    "NOTIFY_",
    "REGISTRY_HTTP_",
    "WATCHDOG_",
    "XDG_",
    "ZOOKEEPER_",
];

/// Every code with where it stands: the closed list, and every text of the sources that looks like one.
fn codes(tree: &Tree) -> BTreeMap<String, String> {
    let closed = FailureCode::ALL.iter().map(|code| code.as_str().to_owned());
    let mut codes: BTreeMap<_, _> = closed.map(|code| (code, "FailureCode".to_owned())).collect();
    let sources = tree.ending(".rs").filter(|(path, _)| path.contains("/src/"));
    for (path, text) in sources.filter(|(path, _)| !rust::holds_tests(path)) {
        for literal in rust::read(rust::without_tests(text)).literals {
            if looks_like_a_code(&literal.text) || is_one_word(&literal) {
                codes.entry(literal.text).or_insert_with(|| format!("{path}:{}", literal.line));
            }
        }
    }
    for (path, text) in OTHERS.into_iter().flat_map(|folder| tree.within(folder)) {
        for word in text.split('"').filter(|word| looks_like_a_code(word)) {
            codes.entry(word.to_owned()).or_insert_with(|| path.to_owned());
        }
    }
    codes
}

/// One word in capitals is a code where one belongs: behind a status, or what is away.
fn is_one_word(literal: &Literal) -> bool {
    let word = literal.text.len() > 1 && literal.text.bytes().all(|byte| byte.is_ascii_uppercase());
    let status = literal.before.strip_suffix(',').and_then(|before| before.rsplit('(').next());
    let behind_status = status.is_some_and(|status| {
        status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit())
    });
    word && (behind_status || literal.before.ends_with("unavailable("))
}

/// `TWO_WORDS` or more are a code anywhere.
fn looks_like_a_code(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    text.contains('_')
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.split('_').all(word)
        && !NO_CODES.contains(&text)
        && !VARIABLES.iter().any(|prefix| text.starts_with(prefix))
}

fn pages(tree: &Tree) -> BTreeSet<&str> {
    tree.within(FOLDER)
        .filter_map(|(path, _)| path.strip_prefix(FOLDER)?.strip_suffix(".md"))
        .filter(|page| *page != "README")
        .collect()
}

fn missing(tree: &Tree) -> Vec<String> {
    let pages = pages(tree);
    codes(tree)
        .iter()
        .filter(|(code, _)| !pages.contains(code.as_str()))
        .map(|(code, place)| format!("{code} ({place}) has no page in {FOLDER}"))
        .collect()
}

fn needless(tree: &Tree) -> Vec<String> {
    let codes = codes(tree);
    let needless = pages(tree).into_iter().filter(|page| !codes.contains_key(*page));
    needless.map(|page| format!("{FOLDER}{page}.md is about a code that nothing says")).collect()
}

fn thin(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for page in pages(tree) {
        let text = tree.text(&format!("{FOLDER}{page}.md")).unwrap_or_default();
        let title = format!("# {page}");
        for part in [title.as_str(), "**It means**", "**It comes**", "**What to do:**", "```"] {
            if !text.contains(part) {
                offences.push(format!("{FOLDER}{page}.md has no {part:?}"));
            }
        }
    }
    offences
}

#[test]
fn every_code_has_a_page() {
    none(&missing(&Tree::read()));
}

#[test]
fn every_page_is_about_a_code() {
    none(&needless(&Tree::read()));
}

#[test]
fn every_page_says_what_it_means_when_it_comes_and_what_to_do() {
    none(&thin(&Tree::read()));
}

#[test]
fn planted_codes_and_pages_are_found() {
    let tree = Tree::planted(&[
        (
            "app-manager/src/http/error.rs",
            "fn f() { Problem::new(422, \"PLANTED_CODE\", \"A_B c\", env(\"GET\"), say(500, \"BUSY\"), env(\"AVISHKAR_LIKE\")); }\n\
             #[cfg(test)]\nmod tests { const X: &str = \"TEST_ONLY\"; }\n",
        ),
        ("docker/edge/lua/a.lua", "return answer(503, \"EDGE_CODE\", 'a \"b\" C_D')"),
        ("docs/errors/NOTHING_SAYS.md", "# NOTHING_SAYS\n**It means** x\n**It comes** y\n```"),
    ]);
    let missing = missing(&tree);
    assert_eq!(missing.len(), FailureCode::ALL.len() + 3);
    assert!(
        missing.iter().any(|offence| {
            offence.starts_with("PLANTED_CODE (app-manager/src/http/error.rs:1)")
        })
    );
    assert_eq!(needless(&tree).len(), 1);
    assert_eq!(thin(&tree), ["docs/errors/NOTHING_SAYS.md has no \"**What to do:**\""]);
}
