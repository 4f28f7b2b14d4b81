//! What is typed wrong, and what is answered before anybody is asked.

use serde_json::{Value, json};

use crate::{avishkar, said};

#[test]
fn programs_that_type_wrong_get_the_same_object_as_for_any_failure() {
    let home = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 5] = [
        &["--json", "scale", "hello", "abc"],
        &["scale", "hello", "0", "--json"],
        &["--json", "bus", "send", "NoTopic", "x"],
        &["--json", "nothing"],
        &["--json", "bus"],
    ];
    for words in cases {
        let output = avishkar(words, &home).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert_eq!(said(&output.stdout), "", "{words:?}");
        let told: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(told["exit_code"], 2, "{told}");
        assert_eq!((&told["code"], &told["output"]), (&Value::Null, &json!([])));
        let error = told["error"].as_str().unwrap();
        assert!(
            !error.is_empty() && !error.contains('\n') && !error.starts_with("error"),
            "{told}"
        );
        assert!(told["hint"].is_string(), "{told}");
    }
}

#[test]
fn people_that_type_wrong_get_it_in_text() {
    let home = tempfile::tempdir().unwrap();
    let output = avishkar(&["scale", "hello", "0"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = said(&output.stderr);
    assert!(told.starts_with("error: ") && told.contains("avishkar stop"), "{told}");
}

#[test]
fn help_and_version_stay_text() {
    let home = tempfile::tempdir().unwrap();
    for word in ["--help", "--version"] {
        let output = avishkar(&["--json", word], &home).output().unwrap();
        assert!(output.status.success());
        assert!(said(&output.stdout).contains("avishkar") && output.stderr.is_empty());
    }
}

#[test]
fn who_asks_how_a_platform_is_that_does_not_run_is_told_how_it_starts() {
    let home = tempfile::tempdir().unwrap();
    // Nobody is called that, whatever runs on this machine.
    let words = ["--server", "http://platform.invalid:1", "status"];
    let output = avishkar(&words, &home).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(said(&output.stderr).contains("avishkar up"), "{}", said(&output.stderr));
}
