//! `docs/features.md`: a row for each feature of the source documents, and what proves it; `docs/trials.md`: faults, and
//! the tests that do them.

use super::none;
use super::tree::Tree;

const PAGE: &str = "docs/features.md";
const TRIALS: &str = "docs/trials.md";
const LAST: u32 = 78;
const STATES: [&str; 3] = ["planned", "built", "done"];

/// One row: number, state and proof.
struct Row<'a> {
    number: u32,
    state: &'a str,
    proof: &'a str,
}

fn rows(tree: &Tree) -> Vec<Row<'_>> {
    let text = tree.text(PAGE).unwrap_or_default();
    text.lines().filter_map(read_row).collect()
}

fn read_row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [number, _, state, proof] = cells.as_slice() else { return None };
    Some(Row { number: number.parse().ok()?, state, proof })
}

fn numbers(tree: &Tree) -> Vec<String> {
    let rows = rows(tree);
    let unknown = rows.iter().filter(|row| !(1..=LAST).contains(&row.number));
    let mut offences: Vec<String> =
        unknown.map(|row| format!("there is no feature {}", row.number)).collect();
    for number in 1..=LAST {
        match rows.iter().filter(|row| row.number == number).count() {
            1 => {}
            count => offences.push(format!("feature {number} has {count} rows")),
        }
    }
    offences
}

fn states(tree: &Tree) -> Vec<String> {
    let rows = rows(tree);
    let unknown = rows.iter().filter(|row| !STATES.contains(&row.state));
    unknown.map(|row| format!("feature {} is {:?}", row.number, row.state)).collect()
}

/// What is built names files, in back-quotes; `file.rs::name` is a test in it.
fn proofs(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for row in rows(tree) {
        let places: Vec<&str> = row.proof.split('`').skip(1).step_by(2).collect();
        if row.state != "planned" && places.is_empty() {
            offences.push(format!("feature {} is {} and names no proof", row.number, row.state));
        }
        for place in places.iter().filter(|place| !stands(tree, place)) {
            offences.push(format!("feature {}: there is no {place}", row.number));
        }
    }
    offences
}

/// Every test that is named, in back-quotes, is there.
fn trials(tree: &Tree) -> Vec<String> {
    let text = tree.text(TRIALS).unwrap_or_default();
    let quoted = text.split('`').skip(1).step_by(2);
    let lost = quoted.filter(|place| place.contains(".rs::") && !stands(tree, place));
    lost.map(|place| format!("{TRIALS}: there is no {place}")).collect()
}

fn stands(tree: &Tree, place: &str) -> bool {
    match place.split_once("::") {
        None => tree.has_entry(place),
        Some((file, name)) => {
            let name = name.rsplit("::").next().unwrap_or(name);
            tree.text(file).is_some_and(|text| text.contains(&format!("fn {name}(")))
        }
    }
}

#[test]
fn every_feature_has_exactly_one_row() {
    none(&numbers(&Tree::read()));
}

#[test]
fn every_state_is_one_of_three() {
    none(&states(&Tree::read()));
}

#[test]
fn what_is_built_names_a_test_or_file_that_exists() {
    none(&proofs(&Tree::read()));
}

#[test]
fn every_trial_names_tests_that_exist() {
    none(&trials(&Tree::read()));
}

#[test]
fn planted_trials_are_found() {
    let tree = Tree::planted(&[
        (TRIALS, "| `a` | `e2e/tests/it/main.rs::one_way`, `e2e/tests/it/main.rs::no_way` |\n"),
        ("e2e/tests/it/main.rs", "fn one_way() {}\n"),
    ]);
    assert_eq!(trials(&tree), ["docs/trials.md: there is no e2e/tests/it/main.rs::no_way"]);
}

#[test]
fn planted_rows_are_found() {
    let tree = Tree::planted(&[
        (
            PAGE,
            "| 1 | A | done | `e2e/tests/it/main.rs::one_way` |\n| 2 | B | built | `e2e/none.rs` |\n\
             | 3 | C | done | |\n| 3 | D | half | |\n| 4 | E | planned | |\n\
             | 5 | F | built | `e2e/tests/it/main.rs::another_way` |\n| 79 | G | planned | |\n",
        ),
        ("e2e/tests/it/main.rs", "fn one_way() {}\n"),
    ]);
    let numbers = numbers(&tree);
    assert_eq!(numbers.len(), 1 + 1 + 73);
    assert_eq!(numbers.get(..2).unwrap(), ["there is no feature 79", "feature 3 has 2 rows"]);
    assert_eq!(states(&tree), ["feature 3 is \"half\""]);
    assert_eq!(
        proofs(&tree),
        [
            "feature 2: there is no e2e/none.rs",
            "feature 3 is done and names no proof",
            "feature 3 is half and names no proof",
            "feature 5: there is no e2e/tests/it/main.rs::another_way",
        ]
    );
}
