//! Bad input over HTTP: the exact code, within 2 s, nothing left in staging, no other app disturbed.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use e2e::cluster;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio::time::Instant;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::cluster_is_ready;

const AT_ONCE: Duration = Duration::from_secs(2);

/// A zip of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn link() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("main.py", SimpleFileOptions::default()).unwrap();
    zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("main.py", SimpleFileOptions::default()).unwrap();
    let piece = vec![0; 1024 * 1024];
    for _ in 0..mebibytes {
        zip.write_all(&piece).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn upload(user: &User, app: &str, bytes: Vec<u8>) -> (u16, String) {
    let part = Part::bytes(bytes).file_name("app.zip").mime_str("application/zip").unwrap();
    let request = user.request(Method::POST, &format!("/api/v1/apps/{app}/releases"));
    told(request.multipart(Form::new().part("bundle", part))).await
}

/// The status and the code of the answer, which must come at once.
async fn told(request: reqwest::RequestBuilder) -> (u16, String) {
    let asked = Instant::now();
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    assert!(asked.elapsed() < AT_ONCE, "{status} {body} took {:?}", asked.elapsed());
    assert!(status < 500, "{status} {body}");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

async fn staging() -> String {
    cluster::exec("app-manager", &["ls", "-R", "/data/staging"]).await.unwrap()
}

/// What is wrong with each archive, the archive, and the code it gets.
fn hostile_archives() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let nested = "d/".repeat(30) + "main.py";
    let mut polyglot = b"#!/bin/sh\nexit\n".to_vec();
    polyglot.extend(archive(&[("main.py", b"print()")]));
    let mut trailing = archive(&[("main.py", b"print()")]);
    trailing.extend(b"more after the end");
    let mut truncated = archive(&[("main.py", b"print()")]);
    truncated.truncate(truncated.len() / 2);
    let many: Vec<(String, Vec<u8>)> = (0..10_001).map(|n| (format!("f{n}"), Vec::new())).collect();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let big_manifest = vec![b' '; 70_000];
    let deep_manifest = "[".repeat(10_000).into_bytes();
    vec![
        ("too deep", archive(&[(nested.as_str(), b"x".as_slice())]), "ARCHIVE_TOO_MANY_ENTRIES"),
        ("slip", archive(&[("../../evil", b"x")]), "ARCHIVE_PATH_ESCAPE"),
        ("absolute", archive(&[("/etc/evil", b"x")]), "ARCHIVE_PATH_ESCAPE"),
        ("drive", archive(&[("C:\\evil", b"x")]), "ARCHIVE_PATH_ESCAPE"),
        ("symlink", link(), "ARCHIVE_ENTRY_FORBIDDEN"),
        ("zeros", zeros(300), "ARCHIVE_TOO_LARGE"),
        ("entries", archive(&many), "ARCHIVE_TOO_MANY_ENTRIES"),
        ("not a zip", b"hello".to_vec(), "ARCHIVE_MALFORMED"),
        ("empty", Vec::new(), "ARCHIVE_MALFORMED"),
        ("polyglot", polyglot, "ARCHIVE_MALFORMED"),
        ("trailing", trailing, "ARCHIVE_MALFORMED"),
        ("truncated zip", truncated, "ARCHIVE_MALFORMED"),
        ("case twins", archive(&[("a.py", b"x"), ("A.py", b"y")]), "ARCHIVE_MALFORMED"),
        ("unknown kind", archive(&[("notes.txt", b"x")]), "BUNDLE_UNRECOGNISED"),
        (
            "dockerfile",
            archive(&[("main.py", b"x"), ("Dockerfile", b"FROM evil")]),
            "DOCKERFILE_FORBIDDEN",
        ),
        (
            "big manifest",
            archive(&[("main.py", b"x"), ("app.json", &big_manifest)]),
            "MANIFEST_INVALID",
        ),
        (
            "deep manifest",
            archive(&[("main.py", b"x"), ("app.json", &deep_manifest)]),
            "MANIFEST_INVALID",
        ),
        (
            "twin keys",
            archive(&[("main.py", b"x"), ("app.json", br#"{"location":"a","location":"b"}"#)]),
            "MANIFEST_INVALID",
        ),
    ]
}

/// Names as a path carries them, none of which is one.
fn hostile_names() -> Vec<String> {
    let names = [
        "..%2f..%2fetc",
        "a;rm%20-rf%20%2f",
        "$(id)",
        "%60id%60",
        "a%7Cb",
        "-rf",
        "--privileged",
        "a%0ab",
        "x%7B%7D",
        "$host",
        "a%22b",
        "%EF%BD%81pp",
        "%D0%B0pp",
        "%E2%80%AEapp",
        "a%00b",
        "App",
        "a--b",
        &"a".repeat(41),
        &"a".repeat(10_000),
    ];
    names.map(str::to_owned).to_vec()
}

#[tokio::test]
async fn every_bad_input_gets_its_code_and_leaves_nothing_behind() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "bystander", 1).await.unwrap();
    let crowd = Crowd::start(&url, 2, "bystander");
    let before = staging().await;

    let mut wrong = Vec::new();
    for (what, bytes, code) in hostile_archives() {
        let (status, found) = upload(&user, "victim", bytes).await;
        if !(400..500).contains(&status) || !found.starts_with(code) {
            wrong.push(format!("{what}: {status} {found}, not {code}"));
        }
    }
    for name in hostile_names() {
        let (status, found) = upload(&user, &name, archive(&[("main.py", b"x")])).await;
        if !matches!((status, found.as_str()), (422, "NAME_INVALID") | (413 | 414, _)) {
            wrong.push(format!("name {name:.40}: {status} {found}"));
        }
    }
    for name in ["kafka", "admin", "default"] {
        let (status, found) = upload(&user, name, archive(&[("main.py", b"x")])).await;
        if (status, found.as_str()) != (422, "NAME_RESERVED") {
            wrong.push(format!("name {name}: {status} {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(staging().await, before);
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    assert_eq!(tally.failed, 0, "{first_failure:?}");
    assert!(tally.answered > 0);
    user.does(&["stop", "bystander"]).await.unwrap();
}

#[tokio::test]
async fn who_is_not_signed_in_gets_nothing() {
    cluster_is_ready().await;
    let client = reqwest::Client::new();
    for path in
        ["/api/v1/instances", "/api/v1/apps", "/api/v1/nodes", "/api/deployedApps/getDeployedApps/"]
    {
        let answer = client.get(format!("{}{path}", e2e::platform::SERVER)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let forged = client
            .get(format!("{}{path}", e2e::platform::SERVER))
            .bearer_auth("a.b.c")
            .send()
            .await
            .unwrap();
        assert_eq!(forged.status(), 401, "{path}");
    }
}
