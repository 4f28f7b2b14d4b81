//! Certificates of host names on the command line.

use std::fs;

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::talking::signed_in;
use crate::{avishkar, said};

const LIST: &str = "GET /api/v1/certificates";
const SHOP: &str = "/api/v1/certificates/shop.example.org";

fn told() -> Value {
    json!({
        "host": "shop.example.org", "issuer": "CN=example authority",
        "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z",
        "fingerprint": "ab".repeat(32), "source": "given", "since": "2026-11-22T12:00:00Z",
    })
}

fn listed() -> Value {
    let failed = json!({
        "times": 2, "code": "CERTIFICATE_REFUSED", "problem": "unauthorized: nobody answers",
        "hint": "see where the name leads", "next_try": "2026-11-22T13:00:00Z",
    });
    let orders =
        json!([{ "host": "new.example.org" }, { "host": "www.example.org", "failed": failed }]);
    json!({ "certificates": [told()], "orders": orders })
}

fn platform() -> FakePlatform {
    FakePlatform::start(|line, _| match line {
        LIST => Answer::Says(200, listed().to_string()),
        _ if line == format!("PUT {SHOP}") => Answer::Says(200, told().to_string()),
        _ if line == format!("DELETE {SHOP}") => Answer::Says(204, String::new()),
        _ => Answer::Says(404, "{}".to_owned()),
    })
}

#[test]
fn a_certificate_is_sent_with_its_key_and_its_end_is_told() {
    let platform = platform();
    let home = signed_in(&platform.url);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, "the chain").unwrap();
    fs::write(&key, "the key").unwrap();
    let words = [
        "certificate",
        "add",
        "shop.example.org",
        "--certificate",
        certificate.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    let output = avishkar(&words, &home).output().unwrap();
    assert_eq!(
        said(&output.stdout),
        "visitors of shop.example.org are shown it until 2027-01-01T00:00:00Z\n"
    );
    let sent = platform.requests().pop().unwrap();
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body, json!({ "certificate": "the chain", "key": "the key" }));

    fs::remove_file(&key).unwrap();
    let output = avishkar(&words, &home).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("key.pem: "), "{}", said(&output.stderr));
}

#[test]
fn certificates_are_a_table_for_people_and_whole_for_programs() {
    let platform = platform();
    let home = signed_in(&platform.url);
    let output = avishkar(&["certificate", "list"], &home).output().unwrap();
    let text = said(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("HOST") && lines[0].contains("VALID UNTIL"), "{text}");
    assert!(lines[1].starts_with("shop.example.org  2027-01-01T00:00:00Z"), "{text}");
    let orders = [
        "new.example.org: the public authority is asked for one",
        "www.example.org: CERTIFICATE_REFUSED: unauthorized: nobody answers",
        "  hint: see where the name leads",
        "  tried again at 2026-11-22T13:00:00Z",
    ];
    assert_eq!(lines[2..], orders);
    let output = avishkar(&["--json", "certificate", "list"], &home).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed, self::listed());
    let output = avishkar(&["certificate", "remove", "shop.example.org"], &home).output().unwrap();
    assert_eq!(said(&output.stdout), "visitors of shop.example.org are shown none any more\n");
}

#[test]
fn a_host_name_is_one_before_anything_is_sent() {
    let platform = platform();
    let home = signed_in(&platform.url);
    let output = avishkar(&["certificate", "remove", "192.0.2.1"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(platform.requests().is_empty());
}
