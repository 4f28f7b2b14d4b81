//! `avishkar bootstrap` as it is typed: what is wrong with a file, and nothing that is removed by mistake.

use std::fs;
use std::path::Path;

use crate::{run, said};

const BROKEN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../bootstrapper/tests/it/broken/unknown-keys.toml");

#[test]
fn everything_that_is_wrong_with_a_file_is_told_with_its_line_and_code_2() {
    for verb in ["plan", "apply", "destroy"] {
        let output = run(&["bootstrap", verb, BROKEN], &[]);
        let told = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{verb}: {told}");
        assert!(
            told.contains("| 1:1: nmae: there is no such key; did you mean \"name\"?"),
            "{told}"
        );
        assert!(told.contains("mistakes found"), "{told}");
    }
}

#[test]
fn a_program_gets_each_mistake_with_its_line_and_key() {
    let output = run(&["--json", "bootstrap", "plan", BROKEN], &[]);
    let told: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let causes = told["causes"].as_array().unwrap();
    assert!(causes.len() > 5, "{told}");
    let first = causes.first().unwrap();
    assert_eq!((&first["line"], &first["key"]), (&1.into(), &"nmae".into()));
    assert_eq!(told["exit_code"], 2);
}

#[test]
fn a_file_that_is_not_there_is_wrong_typing() {
    let output = run(&["bootstrap", "plan", "/nowhere/platform.toml"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("/nowhere/platform.toml"), "{}", said(&output.stderr));
}

#[test]
fn a_folder_has_one_digest_wherever_it_is_and_none_if_it_cannot_be_taken() {
    let digest_of = |folder: &Path| run(&["bootstrap", "digest", &folder.to_string_lossy()], &[]);
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    for folder in [first.path(), second.path()] {
        fs::create_dir(folder.join("app")).unwrap();
        fs::write(folder.join("app/main.py"), "print(1)\n").unwrap();
        fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    }
    fs::write(second.path().join(".env"), "SECRET=1\n").unwrap();
    // GNU tar makes the same archive of these two files.
    let digest = "sha256:81e689df49d6482a3bf9242802b9eaf7ac7664abaca7dda7fcee6efc7969f430\n";
    for folder in [first.path(), second.path()] {
        assert_eq!(said(&digest_of(folder).stdout), digest);
    }
    let refused = digest_of(Path::new("/nowhere"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused.stderr).contains("there are no files"), "{}", said(&refused.stderr));
}
