//! Uploads that are too long, cut off, abandoned, or many at once.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::bus::new_request;
use e2e::bystander::Bystander;
use e2e::platform::User;
use e2e::raw_http::{Connection, head};
use e2e::refusal::{Refusal, Wrongs};
use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;
use testkit::raw_zip::{RawEntry, RawZip};

use crate::c_archives::{VICTIM, no_victim, upload};
use crate::cluster_is_ready;

const AT_ONCE: Duration = Duration::from_secs(2);
/// What at least is sent before it is too much.
const SENT_WITHIN: Duration = Duration::from_secs(10);
const KIND: &str = "Content-Type: multipart/form-data; boundary=b\r\n";
const PART: &str =
    "--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"a.zip\"\r\n\r\n";
const MIB: usize = 1 << 20;
const LIMIT: usize = 100 * MIB;
/// What can be on its way while nobody reads, and until the answer is seen.
const UNDER_WAY: usize = 64 * MIB;

fn bundle(text: &str) -> Vec<u8> {
    RawZip::of([RawEntry::stored("main.py", text.as_bytes())]).bytes()
}

async fn begin(user: &User, headers: &str) -> Connection {
    let mut connection = Connection::open().await.unwrap();
    let path = format!("/api/v1/apps/{}/releases", *VICTIM);
    let head = head(user, "POST", &path, &format!("{KIND}{headers}")).unwrap();
    connection.send(head.as_bytes()).await.unwrap();
    connection
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test]
async fn an_upload_that_is_too_large_ends_at_the_first_byte_too_many() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    let wanted = (413, "UPLOAD_TOO_LARGE");
    let piece = vec![b'x'; MIB];

    // Said in advance: refused before any of it is written down. An answer counts when the connection is closed.
    for length in ["4294967296", "9223372036854775807", "104923137"] {
        let connection = begin(&user, &format!("Content-Length: {length}\r\n")).await;
        let flood = connection.flood(&piece, 4096).await;
        let (found, sent) = flood.unwrap_or_else(|err| panic!("says {length}: {err:#}"));
        wrongs.check(&format!("says {length}"), &found, wanted, AT_ONCE);
        if sent > UNDER_WAY {
            wrongs.note(format!("says {length}: {sent} bytes were taken"));
        }
    }
    // Not said: refused at the limit, though there is no end to it.
    let mut connection = begin(&user, "Transfer-Encoding: chunked\r\n").await;
    connection.send(&chunk(PART.as_bytes())).await.unwrap();
    let (found, sent) = connection.flood(&chunk(&piece), 4096).await.unwrap();
    wrongs.check("chunked without end", &found, wanted, SENT_WITHIN);
    if !(LIMIT..LIMIT + UNDER_WAY).contains(&sent) {
        wrongs.note(format!("chunked without end: {sent} bytes were taken"));
    }
    // Said wrong: what is more than said is no part of the upload.
    let mut connection = begin(&user, "Content-Length: 1000\r\n").await;
    connection.send(PART.as_bytes()).await.unwrap();
    let (found, sent) = connection.flood(&piece, 4096).await.unwrap();
    wrongs.check("more than said", &found, (400, "UPLOAD_TRUNCATED"), AT_ONCE);
    if sent > UNDER_WAY {
        wrongs.note(format!("more than said: {sent} bytes were taken"));
    }
    // A length that is none.
    for length in ["-1", "1e3", "18446744073709551616", "100, 200"] {
        let connection = begin(&user, &format!("Content-Length: {length}\r\n")).await;
        let (found, _) = connection.flood(&piece, 16).await.unwrap();
        wrongs.check(&format!("says {length}"), &found, (400, ""), AT_ONCE);
    }
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
    no_victim(&user).await;
}

#[tokio::test]
async fn an_upload_that_does_not_arrive_whole_leaves_nothing() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    let wanted = (400, "UPLOAD_TRUNCATED");
    let half = [PART.as_bytes(), b"PK\x03\x04half a zip"].concat();

    // The body is as long as it says, and the form in it has no end.
    let length = format!("Content-Length: {}\r\nConnection: close\r\n", half.len());
    let mut connection = begin(&user, &length).await;
    connection.send(&half).await.unwrap();
    wrongs.check("cut form", &connection.answer().await.unwrap(), wanted, AT_ONCE);
    // The same in chunks.
    let mut connection = begin(&user, "Transfer-Encoding: chunked\r\nConnection: close\r\n").await;
    connection.send(&[chunk(&half), chunk(b"")].concat()).await.unwrap();
    wrongs.check("cut form in chunks", &connection.answer().await.unwrap(), wanted, AT_ONCE);
    // Not the bytes that were meant.
    let other = "sha256:".to_owned() + &"0".repeat(64);
    for digest in [other.as_str(), "sha256:zz", "", "md5:0"] {
        let request = upload(&user, &VICTIM, bundle("")).header("x-bundle-digest", digest);
        let found = Refusal::of(request).await.unwrap();
        wrongs.check(&format!("digest {digest:.12}"), &found, wanted, AT_ONCE);
    }
    // Who stops sending and is gone is not told; what he sent goes away (the bystander sees to it).
    for more in ["Content-Length: 5000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut gone = begin(&user, more).await;
        let body = if more.starts_with('C') { half.clone() } else { chunk(&half) };
        gone.send(&body).await.unwrap();
        drop(gone);
        let mut silent = begin(&user, more).await;
        silent.send(&body).await.unwrap();
        silent.end().await.unwrap();
    }
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
    no_victim(&user).await;
}

/// Uploads all of these at once to one app; returns status and release of each.
async fn at_once(user: &User, app: &str, bundles: Vec<Vec<u8>>) -> Vec<(u16, Value)> {
    let sent = bundles.into_iter().map(|bytes| async {
        let answer = upload(user, app, bytes).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    });
    join_all(sent).await
}

#[tokio::test]
async fn fifty_uploads_at_once_are_each_one_release_and_never_a_mix() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let name = format!("crowd-{}", new_request().0.simple());
    let name = name.get(..38).unwrap().trim_end_matches('-');

    let same = at_once(&user, name, vec![bundle(name); 50]).await;
    let made = same.iter().filter(|(status, _)| *status == 201).count();
    let there = same.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!((made, there), (1, 49), "{same:?}");
    let digest = same[0].1["source"]["bundle"].clone();
    assert!(same.iter().all(|(_, release)| release["source"]["bundle"] == digest), "{same:?}");
    assert!(same.iter().all(|(_, release)| release["number"] == 1), "{same:?}");

    let texts = (0..50).map(|number| bundle(&format!("{name} {number}"))).collect();
    let different = at_once(&user, name, texts).await;
    assert!(different.iter().all(|(status, _)| *status == 201), "{different:?}");
    let numbers: BTreeSet<u64> =
        different.iter().filter_map(|(_, release)| release["number"].as_u64()).collect();
    assert_eq!(numbers, (2..=51).collect());
    let told: BTreeSet<(String, String)> = different.iter().map(|(_, one)| source(one)).collect();
    let path = format!("/api/v1/apps/{name}/releases");
    let kept = user.request(Method::GET, &path).send().await.unwrap();
    let kept: Vec<Value> = kept.json().await.unwrap();
    let kept: BTreeSet<(String, String)> =
        kept.iter().filter(|one| one["number"] != 1).map(source).collect();
    assert_eq!(told, kept, "each release has the bytes that were uploaded for it");

    // Who names what he builds upon is told that it is not the newest any more.
    let racing = (0..10).map(|number| {
        let request = upload(&user, name, bundle(&format!("{name} race {number}")));
        Refusal::of(request.header("if-match", "\"51\""))
    });
    let racing = join_all(racing).await;
    let refused: Vec<&Refusal> =
        racing.iter().flatten().filter(|found| found.code == "VERSION_EXISTS").collect();
    assert_eq!(refused.len(), 9, "{racing:?}");
    assert!(refused.iter().all(|found| found.status == 409));
    // The bundles of racers that lost may have been stored before they did.
    bystander.unharmed(52..=61).await.unwrap();
}

fn source(release: &Value) -> (String, String) {
    (release["number"].to_string(), release["source"]["bundle"].to_string())
}
