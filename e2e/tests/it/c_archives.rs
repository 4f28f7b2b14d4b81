//! Bad zips over HTTP: the exact code, at once, and nothing unpacked anywhere.

use std::sync::LazyLock;
use std::time::Duration;

use e2e::bus::new_request;
use e2e::bystander::{Bystander, peak_memory};
use e2e::corpus::{BadZip, archives, bombs, bundles};
use e2e::platform::User;
use e2e::refusal::{Refusal, Wrongs};
use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::cluster_is_ready;

const AT_ONCE: Duration = Duration::from_secs(2);
/// What a bomb may take.
const BOMB_WITHIN: Duration = Duration::from_secs(10);
/// Of the process as a whole.
const MOST_MEMORY: u64 = 64 << 20;

/// The app that nothing is ever released of. A cluster may have seen these tests before.
pub(crate) static VICTIM: LazyLock<String> = LazyLock::new(|| {
    let id = new_request().0.simple().to_string();
    format!("victim-{}", id.get(20..).unwrap())
});

/// Sends a zip as a release of `app`.
pub(crate) fn upload(user: &User, app: &str, bytes: Vec<u8>) -> reqwest::RequestBuilder {
    let part = Part::bytes(bytes).file_name("app.zip").mime_str("application/zip").unwrap();
    let request = user.request(Method::POST, &format!("/api/v1/apps/{app}/releases"));
    request.multipart(Form::new().part("bundle", part))
}

async fn refuse_all(user: &User, zips: Vec<BadZip>, within: Duration) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for BadZip { what, bytes, code } in zips {
        let found = Refusal::of(upload(user, &VICTIM, bytes)).await.unwrap();
        wrongs.check(&what, &found, (422, code), within);
        if found.detail.len() > 300 || found.detail.chars().any(char::is_control) {
            wrongs.note(format!("{what}: {:?}", found.detail));
        }
    }
    wrongs
}

#[tokio::test]
async fn every_hostile_archive_gets_its_code_at_once_and_leaves_nothing() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut zips = archives::escaping();
    zips.extend(archives::special());
    zips.extend(archives::crowded());
    zips.extend(archives::malformed());
    zips.extend(bundles::dockerfiles());
    zips.extend(bundles::unrecognised());
    refuse_all(&user, zips, AT_ONCE).await.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
    no_victim(&user).await;
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_takes_memory_or_disk() {
    cluster_is_ready().await;
    // They take longer to make than the platform keeps a connection that nobody uses.
    let bombs = bombs::bombs();
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    refuse_all(&user, bombs, BOMB_WITHIN).await.none().unwrap();
    let peak = peak_memory().await.unwrap();
    assert!(peak <= MOST_MEMORY, "{peak} bytes");
    bystander.unharmed(0..=0).await.unwrap();
    no_victim(&user).await;
}

#[tokio::test]
async fn a_manifest_that_is_wrong_is_refused_with_the_place() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    for bundles::BadManifest { zip, place } in bundles::manifests() {
        let found = Refusal::of(upload(&user, &VICTIM, zip.bytes)).await.unwrap();
        wrongs.check(&zip.what, &found, (422, zip.code), AT_ONCE);
        let said = place.map(|(line, column)| format!("app.json, line {line}, column {column}: "));
        if !found.detail.contains(said.as_deref().unwrap_or("app.json")) {
            wrongs.note(format!("{}: {:?} does not say {said:?}", zip.what, found.detail));
        }
    }
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
    no_victim(&user).await;
}

/// What was refused has made nothing.
pub(crate) async fn no_victim(user: &User) {
    let path = format!("/api/v1/apps/{}", *VICTIM);
    let found = Refusal::of(user.request(Method::GET, &path)).await.unwrap();
    assert_eq!((found.status, found.code.as_str()), (404, "APP_UNKNOWN"));
}
