//! Certificates of host names: kept sealed, shown by the edge, refused where no visitor could be shown them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use common::name::HostName;
use common::port::authority::Papers;
use common::port::certificates::{Error, HostCertificate};
use common::port::edge::{EdgeOptions, Https};
use common::record::path;
use tempfile::TempDir;
use testkit::contract::edge_certificates::papers;
use testkit::edge::Health;
use tokio::time::{Duration, sleep};

use crate::world::{Api, World, until, wanted};

const SHOP: &str = "shop.example.org";

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A world whose load balancers have a secret.
fn world() -> (World, TempDir) {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    world.config.seal_file = folder.path().join("seal");
    seal_with(&world, "0123456789abcdef0123456789abcdef");
    (world, folder)
}

fn seal_with(world: &World, secret: &str) {
    fs::write(&world.config.seal_file, secret).unwrap();
    fs::set_permissions(&world.config.seal_file, Permissions::from_mode(0o600)).unwrap();
}

/// A load balancer that has just begun to live does not lead yet.
async fn try_set(api: &Api, name: &str, papers: &Papers) -> Result<HostCertificate, Error> {
    for _ in 0..1000 {
        match api.certificates.set(&host(name), papers).await {
            Err(Error::Unavailable(_)) => sleep(Duration::from_millis(10)).await,
            done => return done,
        }
    }
    api.certificates.set(&host(name), papers).await
}

async fn set(api: &Api, name: &str, papers: &Papers) -> HostCertificate {
    try_set(api, name, papers).await.unwrap()
}

async fn refusal(api: &Api, name: &str, papers: &Papers) -> (u16, String) {
    told(try_set(api, name, papers).await.unwrap_err())
}

fn told(err: Error) -> (u16, String) {
    let Error::Refused(problem) = err else { panic!("{err:?}") };
    (problem.status, problem.code)
}

/// The host names whose certificates the edge shows, and whether visitors are sent to TLS.
fn shown(world: &World) -> Vec<(String, bool)> {
    let set = world.edge.certificates().unwrap_or_default();
    set.certificates.iter().map(|one| (one.host.to_string(), one.redirect)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_shown_at_once_and_its_key_is_nowhere_in_the_store() {
    let (world, _folder) = world();
    world
        .live(async |api| {
            let given = papers(&[SHOP]);
            let told = set(&api, SHOP, &given).await;
            assert_eq!(told.host, host(SHOP));
            let edge = world.edge.certificates().unwrap();
            assert_eq!(edge.certificates[0].papers, given);
            assert_eq!(api.certificates.list().await.unwrap().certificates, [told]);
            let stored = world.value(&path::certificate(&host(SHOP))).unwrap().to_string();
            let secret = given.key.lines().nth(1).unwrap();
            assert!(!stored.contains(secret) && stored.contains("sealed_key"), "{stored}");

            let renewed = papers(&[SHOP]);
            set(&api, SHOP, &renewed).await;
            let edge = world.edge.certificates().unwrap();
            assert_eq!(edge.certificates.len(), 1);
            assert_eq!(edge.certificates[0].papers, renewed);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_no_visitor_could_be_shown_is_refused_and_what_is_shown_stays() {
    let (world, _folder) = world();
    world
        .live(async |api| {
            let good = papers(&[SHOP]);
            set(&api, SHOP, &good).await;
            let other = papers(&["other.example.org"]);
            let with_key = |key: &str| Papers { key: key.to_owned(), ..good.clone() };
            let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
            for (wrong, code) in [
                (other.clone(), "CERTIFICATE_NAME_MISMATCH"),
                (with_key(&other.key), "CERTIFICATE_KEY_MISMATCH"),
                (with_key(&encrypted), "CERTIFICATE_KEY_ENCRYPTED"),
                (with_key("key"), "CERTIFICATE_KEY_MALFORMED"),
                (Papers { certificate: "it".to_owned(), ..good.clone() }, "CERTIFICATE_MALFORMED"),
            ] {
                assert_eq!(refusal(&api, SHOP, &wrong).await, (422, code.to_owned()));
            }
            assert_eq!(world.edge.certificates().unwrap().certificates[0].papers, good);
            assert_eq!(api.certificates.list().await.unwrap().certificates.len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn another_life_gives_an_edge_that_lost_its_disk_all_of_them_again() {
    let (world, _folder) = world();
    let given = papers(&[SHOP]);
    world.live(async |api| drop(set(&api, SHOP, &given).await)).await;
    world.edge.restart_without_disk();
    world
        .live(async |_| {
            until("the edge shows it again", || !shown(&world).is_empty()).await;
            assert_eq!(world.edge.certificates().unwrap().certificates[0].papers, given);
            // And while it lives.
            world.edge.restart_without_disk();
            until("the edge shows it again", || !shown(&world).is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_certificate_is_shown_no_more_and_is_removed_once() {
    let (world, _folder) = world();
    world
        .live(async |api| {
            set(&api, SHOP, &papers(&[SHOP])).await;
            api.certificates.remove(&host(SHOP)).await.unwrap();
            let listed = api.certificates.list().await.unwrap();
            assert!(shown(&world).is_empty() && listed.certificates.is_empty());
            let again = api.certificates.remove(&host(SHOP)).await.unwrap_err();
            assert_eq!(told(again), (404, "CERTIFICATE_UNKNOWN".to_owned()));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_its_secret_none_is_taken_and_with_another_those_of_before_are_shown_on() {
    let (world, _folder) = world();
    let given = papers(&[SHOP]);
    world.live(async |api| drop(set(&api, SHOP, &given).await)).await;
    seal_with(&world, "another secret of thirty-two bytes");
    world
        .live(async |api| {
            let other = "other.example.org";
            set(&api, other, &papers(&[other])).await;
            let both = [(other.to_owned(), true), (SHOP.to_owned(), true)];
            assert_eq!(shown(&world), both);
            assert_eq!(world.edge.certificates().unwrap().certificates[1].papers, given);
            fs::remove_file(&world.config.seal_file).unwrap();
            let refused = refusal(&api, SHOP, &papers(&[SHOP])).await;
            assert_eq!(refused, (503, "CERTIFICATES_OFF".to_owned()));
            // What is shown does not depend on it.
            assert_eq!(shown(&world), both);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn with_another_secret_that_opens_none_visitors_are_shown_what_they_were() {
    let (world, _folder) = world();
    let given = papers(&[SHOP]);
    world.live(async |api| drop(set(&api, SHOP, &given).await)).await;
    seal_with(&world, "another secret of thirty-two bytes");
    world
        .live(async |api| {
            // Longer than the edge is left unasked.
            sleep(Duration::from_secs(10)).await;
            assert_eq!(world.edge.certificates().unwrap().certificates[0].papers, given);
            // Not wanted any more is something else, and so is one that was set again.
            api.certificates.remove(&host(SHOP)).await.unwrap();
            assert!(shown(&world).is_empty());
            let renewed = papers(&[SHOP]);
            set(&api, SHOP, &renewed).await;
            assert_eq!(world.edge.certificates().unwrap().certificates[0].papers, renewed);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_says_whether_its_visitors_are_sent_to_tls() {
    let (world, _folder) = world();
    world
        .live(async |api| {
            set(&api, SHOP, &papers(&[SHOP])).await;
            assert_eq!(shown(&world), [(SHOP.to_owned(), true)]);
            let mut shop = wanted("shop", 1, &[20000]);
            shop.edge = EdgeOptions {
                hosts: vec![host(SHOP)],
                https: Https::Both,
                ..EdgeOptions::default()
            };
            assert_eq!(api.set(&shop).await.status, 200);
            until("visitors are not sent on", || shown(&world) == [(SHOP.to_owned(), false)]).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_does_not_answer_gets_it_later_and_who_gave_it_is_told() {
    let (world, _folder) = world();
    world
        .live(async |api| {
            until("the edge is known", || world.edge.table().is_some()).await;
            world.edge.set_health(Health::Down);
            let refused = refusal(&api, SHOP, &papers(&[SHOP])).await;
            assert_eq!(refused, (503, "ROUTE_FAILED".to_owned()));
            world.edge.set_health(Health::Answers);
            until("the edge shows it", || !shown(&world).is_empty()).await;
        })
        .await;
}
