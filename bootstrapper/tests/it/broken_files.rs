//! Every kind of mistake: each file of `broken/` with what is said of it.

use std::fs;
use std::path::Path;

use expect_test::expect_file;

use crate::files::described;

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_what_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let problems = described(&text).expect_err(&file.to_string_lossy());
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        expect_file![file.with_extension("txt")].assert_eq(&format!("{}\n", told.join("\n")));
    }
}

#[test]
fn a_problem_is_read_by_programs_too() {
    let problems = described("name = \"A\"\n").unwrap_err();
    let first = serde_json::to_value(&problems[0]).unwrap();
    assert_eq!((&first["line"], &first["key"]), (&1.into(), &"images".into()));
    assert!(first["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
}
