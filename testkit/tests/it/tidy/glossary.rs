//! One word per idea: the synonyms that `docs/glossary.md` bans are no identifiers, and neither are
//! names that say nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::none;
use super::rust;
use super::tree::Tree;

const PAGE: &str = "docs/glossary.md";
/// Names that could stand for anything, unless they are part of a sentence.
const EMPTY: [&str; 9] =
    ["handler", "processor", "helper", "helpers", "util", "utils", "misc", "data", "info"];
const EMPTY_BEGINNINGS: [&str; 4] = ["do", "process", "handle", "my"];
/// So many words are the name of a test.
const SENTENCE: usize = 5;
/// Here the first word is a thing, or a library gave the name.
const FULL: [&str; 2] = ["process_id", "sync_data"];

/// The banned synonyms, each with the word to use: the first cell of a row and the back-quoted words
/// of its last one.
fn banned(tree: &Tree) -> BTreeMap<String, String> {
    let mut banned = BTreeMap::new();
    for line in tree.text(PAGE).unwrap_or_default().lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [word, _, never] = cells.as_slice() else { continue };
        for synonym in never.split('`').skip(1).step_by(2) {
            banned.insert(rust::words(synonym).join("_"), word.to_string());
        }
    }
    banned
}

/// Document 001's own words: what is named in files that say at their top that they speak its
/// language. Others may call these by their names.
fn words_of_document_001(tree: &Tree) -> BTreeSet<String> {
    let speaks = |text: &str| {
        let top = text.lines().take_while(|line| line.starts_with("//!"));
        top.map(str::to_lowercase).any(|line| line.contains("document 001"))
    };
    let mut words = BTreeSet::new();
    for (_, text) in tree.ending(".rs").filter(|(_, text)| speaks(text)) {
        let source = rust::read(text);
        words.extend(rust::identifiers(&source.code).map(|(_, word)| word.to_owned()));
    }
    words
}

fn synonyms(tree: &Tree) -> Vec<String> {
    let banned = banned(tree);
    let theirs = words_of_document_001(tree);
    let mut offences = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let source = rust::read(text);
        let ours = |(_, word): &(usize, &str)| !theirs.contains(*word);
        for (line, identifier) in rust::identifiers(&source.code).filter(ours) {
            let words = format!("_{}_", rust::words(identifier).join("_"));
            for (synonym, word) in &banned {
                if words.contains(&format!("_{synonym}_")) {
                    offences.push(format!("{path}:{line} says {identifier} for {word}"));
                }
            }
        }
    }
    offences
}

/// The names that the code itself gives, to functions, types and modules.
fn empty_names(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let source = rust::read(text);
        let mut before = "";
        for (line, identifier) in rust::identifiers(&source.code) {
            let defines = ["fn", "struct", "enum", "trait", "type", "mod"].contains(&before);
            if defines && is_empty(identifier) {
                offences.push(format!("{path}:{line} calls a {before} {identifier}"));
            }
            before = identifier;
        }
    }
    offences
}

fn is_empty(identifier: &str) -> bool {
    let words = rust::words(identifier);
    let begins = words.len() > 1
        && words.first().is_some_and(|first| EMPTY_BEGINNINGS.contains(&first.as_str()));
    let full = FULL.contains(&identifier) || words.len() >= SENTENCE;
    !full && (begins || words.iter().any(|word| EMPTY.contains(&word.as_str())))
}

#[test]
fn banned_synonyms_are_no_identifiers() {
    none(&synonyms(&Tree::read()));
}

#[test]
fn no_name_is_empty() {
    none(&empty_names(&Tree::read()));
}

#[test]
fn the_glossary_bans_words() {
    assert!(banned(&Tree::read()).len() > 10);
}

#[test]
fn planted_words_are_found() {
    let tree = Tree::planted(&[
        (PAGE, "| word | meaning | never |\n|---|---|---|\n| node | x | `vm`, `worker_node` |\n"),
        ("a/src/lib.rs", "fn f(vm_name: u8, evm: u8) { WorkerNode::new(); /* vm */ }\n"),
        ("a/src/lists.rs", "//! Document 001's lists.\nstruct A { vm_ip: u8 }\nmod tests;\n"),
        ("a/src/lists/tests.rs", "fn f(vm_ip: u8, vm_x: u8) {}\n"),
        (
            "a/src/x.rs",
            "fn process_all() {}\nfn process() -> process_id {}\nmod utils;\nlet handler = 1;\n",
        ),
    ]);
    assert_eq!(
        synonyms(&tree),
        [
            "a/src/lib.rs:1 says vm_name for node",
            "a/src/lib.rs:1 says WorkerNode for node",
            "a/src/lists/tests.rs:1 says vm_x for node",
        ]
    );
    assert_eq!(
        empty_names(&tree),
        ["a/src/x.rs:1 calls a fn process_all", "a/src/x.rs:3 calls a mod utils"]
    );
}
