//! Bad uploads: the exact code, and nothing left behind.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use common::digest::Digest;
use common::port::Blobs as _;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use testkit::blobs::Health;
use testkit::store::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::world::{Api, World, archive, bundle, dev, python_app, until};

fn with_symlink() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("main.py", SimpleFileOptions::default()).unwrap();
    zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("main.py", SimpleFileOptions::default()).unwrap();
    for _ in 0..mebibytes {
        zip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Every kind of bad bundle with its code.
fn bad_bundles() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut polyglot = b"#!/bin/sh\nexit\n".to_vec();
    polyglot.extend(python_app("a"));
    let mut trailing = python_app("a");
    trailing.extend(b"more");
    let half = python_app("a")[..80].to_vec();
    let names: Vec<String> = (0..10_001).map(|n| format!("f{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let deep = "[".repeat(10_000);
    let long = " ".repeat(70_000);
    let main = ("main.py", "print()");
    vec![
        ("slip", archive(&[main, ("../../evil", "x")]), "ARCHIVE_PATH_ESCAPE"),
        ("absolute", archive(&[main, ("/etc/evil", "x")]), "ARCHIVE_PATH_ESCAPE"),
        ("symlink", with_symlink(), "ARCHIVE_ENTRY_FORBIDDEN"),
        ("bomb", zeros(40), "ARCHIVE_TOO_LARGE"),
        ("entries", archive(&many), "ARCHIVE_TOO_MANY_ENTRIES"),
        ("nested", archive(&[(&"d/".repeat(30), ""), main]), "ARCHIVE_TOO_MANY_ENTRIES"),
        ("no zip", b"hello".to_vec(), "ARCHIVE_MALFORMED"),
        ("nothing", Vec::new(), "ARCHIVE_MALFORMED"),
        ("polyglot", polyglot, "ARCHIVE_MALFORMED"),
        ("trailing", trailing, "ARCHIVE_MALFORMED"),
        ("half", half, "ARCHIVE_MALFORMED"),
        ("twins", archive(&[main, ("Main.py", "x")]), "ARCHIVE_MALFORMED"),
        ("unknown", archive(&[("notes.txt", "x")]), "BUNDLE_UNRECOGNISED"),
        ("empty", archive(&[]), "BUNDLE_UNRECOGNISED"),
        (
            "dockerfile",
            archive(&[main, ("Dockerfile", "# syntax=evil\nFROM evil")]),
            "DOCKERFILE_FORBIDDEN",
        ),
        ("procfile", archive(&[main, ("Procfile", "web: python main.py; id")]), "PROCFILE_INVALID"),
        ("large json", archive(&[main, ("app.json", &long)]), "MANIFEST_INVALID"),
        ("deep json", archive(&[main, ("app.json", &deep)]), "MANIFEST_INVALID"),
        (
            "twin keys",
            archive(&[main, ("app.json", r#"{"location":1,"location":2}"#)]),
            "MANIFEST_INVALID",
        ),
        (
            "unknown key",
            archive(&[main, ("avishkar.toml", "prot = 80\n")]),
            "MANIFEST_UNKNOWN_FIELD",
        ),
        ("wrong type", archive(&[main, ("avishkar.toml", "port = true\n")]), "MANIFEST_INVALID"),
        ("wrong port", archive(&[main, ("avishkar.toml", "port = 22\n")]), "PORT_RESERVED"),
        ("wrong env", archive(&[main, ("avishkar.toml", "[env]\nPATH = \"x\"\n")]), "ENV_INVALID"),
        ("package", archive(&[("package.json", "{")]), "MANIFEST_INVALID"),
    ]
}

#[tokio::test]
async fn every_bad_bundle_gets_its_code_at_once_and_leaves_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            for (what, zip, code) in bad_bundles() {
                let token = dev();
                let upload = api.upload("victim", &token, zip);
                let answer = timeout(Duration::from_secs(5), upload).await.unwrap();
                assert_eq!(answer.told(), (422, code), "{what}: {answer:?}");
                assert!(!answer.body["detail"].as_str().unwrap().is_empty(), "{what}");
            }
            assert_eq!(world.staged(), 0);
            assert_eq!(world.blobs.list().await.unwrap(), []);
            assert_eq!(api.get("/api/v1/apps", &dev()).await.ok(), serde_json::json!([]));
        })
        .await;
}

#[tokio::test]
async fn places_are_said_of_what_is_wrong_in_a_manifest() {
    let world = World::new();
    world
        .during(async |api| {
            let zip =
                archive(&[("main.py", ""), ("avishkar.toml", "port = 8080\nmemory = \"lots\"\n")]);
            let answer = api.upload("shop", &dev(), zip).await;
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("line 2, column 10"), "{detail}");
            assert!(detail.contains("256m"), "{detail}");
            let zip = archive(&[("main.py", ""), ("Procfile", "# x\nweb: a | b\n")]);
            let answer = api.upload("shop", &dev(), zip).await;
            assert!(answer.body["detail"].as_str().unwrap().contains("line 2"), "{answer:?}");
        })
        .await;
}

fn small() -> World {
    World::with(|raw| raw.uploads.max_mib = 1)
}

#[tokio::test]
async fn the_first_byte_too_many_ends_an_upload() {
    let world = small();
    world
        .during(async |api| {
            let declared = api.upload("shop", &dev(), vec![0; 3 << 20]).await;
            assert_eq!(declared.told(), (413, "UPLOAD_TOO_LARGE"));
            let just_over = api.upload("shop", &dev(), vec![0; (1 << 20) + 1]).await;
            assert_eq!(just_over.told(), (413, "UPLOAD_TOO_LARGE"));
            assert_eq!(just_over.header("connection"), Some("close"));
            let at_limit = api.upload("shop", &dev(), vec![0; 1 << 20]).await;
            assert_eq!(at_limit.told(), (422, "ARCHIVE_MALFORMED"));
            assert_eq!(world.staged(), 0);
        })
        .await;
}

/// Opens a connection and sends the head of an upload.
async fn raw(api: &Api, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api.base.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /api/v1/apps/shop/releases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n{more}\r\n",
        dev()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

const PART: &str =
    "--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"a.zip\"\r\n\r\n";

async fn answer(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_body_without_a_length_is_ended_at_the_limit_too() {
    let world = small();
    world
        .during(async |api| {
            let mut stream = raw(&api, "Transfer-Encoding: chunked\r\n").await;
            let chunk = |bytes: &[u8]| {
                [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
            };
            stream.write_all(&chunk(PART.as_bytes())).await.unwrap();
            // The client goes on, whatever is said; it is the server that has to end it.
            let (mut reading, mut writing) = stream.split();
            let piece = chunk(&vec![b'x'; 64 << 10]);
            let sending = async { while writing.write_all(&piece).await.is_ok() {} };
            let mut text = Vec::new();
            let both = async { tokio::join!(sending, reading.read_to_end(&mut text)) };
            drop(timeout(Duration::from_secs(10), both).await.expect("the server goes on reading"));
            let text = String::from_utf8_lossy(&text);
            assert!(text.starts_with("HTTP/1.1 413"), "{text}");
            until(async || world.staged() == 0).await;
        })
        .await;
}

#[tokio::test]
async fn a_form_that_ends_too_early_is_truncated() {
    let world = World::new();
    world
        .during(async |api| {
            let body = format!("{PART}half a zip");
            let mut stream = raw(&api, &format!("Content-Length: {}\r\n", body.len())).await;
            stream.write_all(body.as_bytes()).await.unwrap();
            let text = answer(stream).await;
            assert!(
                text.starts_with("HTTP/1.1 400") && text.contains("UPLOAD_TRUNCATED"),
                "{text}"
            );
            assert_eq!(world.staged(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            let mut stream = raw(&api, "Content-Length: 1000000\r\n").await;
            stream.write_all(PART.as_bytes()).await.unwrap();
            stream.write_all(&[b'x'; 5000]).await.unwrap();
            until(async || world.staged() == 1).await;
            drop(stream);
            until(async || world.staged() == 0).await;
        })
        .await;
}

#[tokio::test]
async fn an_upload_keeps_its_place_until_it_is_a_release() {
    let world = World::with(|raw| raw.uploads.at_once = 1);
    world
        .during(async |api| {
            world.last_session().fail_commit(Fault::RequestStuck);
            let token = dev();
            let second = async {
                until(async || world.last_session().faults_left() == 0).await;
                let arrived = until(async || world.staged() == 2);
                tokio::select! {
                    biased;
                    answer = api.upload("blog", &token, python_app("b")) => panic!("{answer:?}"),
                    () = arrived => panic!("the first one is staged still"),
                    () = tokio::time::sleep(Duration::from_millis(300)) => {}
                }
            };
            tokio::select! {
                biased;
                answer = api.upload("shop", &token, python_app("a")) => panic!("{answer:?}"),
                () = second => {}
            }
        })
        .await;
}

#[tokio::test]
async fn a_digest_that_was_sent_must_be_right() {
    let world = World::new();
    world
        .during(async |api| {
            let zip = python_app("a");
            let send = async |digest: &Digest| {
                let request = api.request(Method::POST, "/api/v1/apps/shop/releases", &dev());
                let request = request.header("x-bundle-digest", digest.as_str());
                api.send(request.multipart(bundle(zip.clone()))).await
            };
            assert_eq!(send(&Digest::of(b"other")).await.told(), (400, "UPLOAD_TRUNCATED"));
            assert_eq!(send(&Digest::of(&zip)).await.status, 201);
        })
        .await;
}

#[tokio::test]
async fn a_form_has_one_field_and_a_body_one_kind() {
    let world = World::new();
    world
        .during(async |api| {
            let send = async |form: Form| {
                let request = api.request(Method::POST, "/api/v1/apps/shop/releases", &dev());
                api.send(request.multipart(form)).await
            };
            let part = || Part::bytes(python_app("a")).file_name("a.zip");
            assert_eq!(send(Form::new()).await.status / 100, 4);
            assert_eq!(send(Form::new().part("file", part())).await.told(), (422, "UNKNOWN_FIELD"));
            let twice = Form::new().part("bundle", part()).part("bundle", part());
            assert_eq!(send(twice).await.told(), (422, "FIELD_INVALID"));
            let request = api.request(Method::POST, "/api/v1/apps/shop/releases", &dev());
            let text = api.send(request.header("content-type", "text/plain").body("hello")).await;
            assert_eq!(text.told(), (415, "CONTENT_TYPE_INVALID"));
            let put = api.request(Method::PUT, "/api/v1/apps/shop/releases", &dev());
            let put = api.send(put).await;
            assert_eq!(put.told(), (405, "METHOD_NOT_ALLOWED"));
            assert_eq!(put.header("allow"), Some("GET, POST"));
            assert_eq!(world.staged(), 0);
        })
        .await;
}

#[tokio::test]
async fn without_space_or_storage_nothing_is_released() {
    let world = World::new();
    world
        .during(async |api| {
            world.blobs.set_health(Health::Full);
            let full = api.upload("shop", &dev(), python_app("a")).await;
            assert_eq!(full.told(), (507, "INSUFFICIENT_STORAGE"));
            world.blobs.set_health(Health::Down);
            let down = api.upload("shop", &dev(), python_app("a")).await;
            assert_eq!(down.told(), (503, "STORAGE_UNAVAILABLE"));
            assert!(down.header("retry-after").is_some());
            assert_eq!(world.staged(), 0);
            world.blobs.set_health(Health::Answers);
            assert_eq!(api.upload("shop", &dev(), python_app("a")).await.status, 201);
        })
        .await;
}
