//! Certificates that nobody gave: asked of a public authority for the host names of apps.

mod pace;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use common::name::HostName;
use common::port::Clock as _;
use common::port::certificates::{Listed, OrderFailure, Source};
use common::port::edge::EdgeOptions;
use common::record::path;
use common::topic::Topic;
use jiff::SignedDuration;
use tempfile::TempDir;
use testkit::contract::edge_certificates::papers;
use testkit::edge::Health;
use testkit::public_authority::{LIFETIME, Mood};
use testkit::{MemoryAuthority, MemoryEdge};
use tokio::time::sleep;

use crate::world::{Api, World, until, wanted};

const SHOP: &str = "shop.example.org";

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// What this edge answers an authority.
fn answer(edge: &MemoryEdge, token: &str) -> Option<String> {
    let challenges = edge.certificates()?.challenges;
    challenges.into_iter().find(|one| one.token == token).map(|one| one.answer)
}

/// A file that keys are sealed with.
pub(crate) fn sealed(world: &mut World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    world.config.seal_file = folder.path().join("seal");
    fs::write(&world.config.seal_file, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&world.config.seal_file, Permissions::from_mode(0o600)).unwrap();
    folder
}

/// A world with an authority, and host names that all lead to the edge but those of `example.com`.
fn world() -> (World, MemoryAuthority, TempDir) {
    let mut world = World::new();
    let folder = sealed(&mut world);
    let edge = world.edge.clone();
    let authority = MemoryAuthority::new(world.clock.clone(), move |host, token| {
        let leads_away = host.as_str().rsplit('.').next() == Some("com");
        if leads_away { None } else { answer(&edge, token) }
    });
    world.authority = Some(authority.clone());
    (world, authority, folder)
}

async fn serve(api: &Api, instance: &str, port: u16, name: &str) {
    serve_again(api, 1, instance, port, name).await;
}

async fn serve_again(api: &Api, generation: u64, instance: &str, port: u16, name: &str) {
    let mut route = wanted(instance, generation, &[port]);
    route.edge = EdgeOptions { hosts: vec![host(name)], ..EdgeOptions::default() };
    assert_eq!(api.set(&route).await.status, 200);
}

/// The host names whose certificates the edge shows.
fn shown(world: &World) -> Vec<String> {
    let set = world.edge.certificates().unwrap_or_default();
    set.certificates.iter().map(|one| one.host.to_string()).collect()
}

fn key(world: &World) -> String {
    world.edge.certificates().unwrap().certificates[0].papers.key.clone()
}

async fn listed(api: &Api) -> Listed {
    api.certificates.list().await.unwrap()
}

/// What is told once an order has failed so often.
async fn failed(api: &Api, times: u32) -> OrderFailure {
    for _ in 0..100_000 {
        let orders = listed(api).await.orders;
        let failed = orders.into_iter().find_map(|order| order.failed);
        if let Some(failed) = failed.filter(|failed| failed.times >= times) {
            return failed;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("no order failed {times} times");
}

async fn until_nothing_is_listed(api: &Api) {
    for _ in 0..600 {
        if listed(api).await.orders.is_empty() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("{:?}", listed(api).await.orders);
}

async fn until_nothing_is_asked(world: &World) {
    let folder = path::folder("orders");
    until("no order is left", || {
        world.store.records(&folder).iter().all(|(path, _)| *path == folder)
    })
    .await;
}

/// Lets the time of day go on by so much, and all names be looked at: a day of paused time takes long.
async fn pass(world: &World, time: SignedDuration) {
    world.clock.advance(time);
    sleep(Duration::from_secs(70)).await;
}

fn events(world: &World) -> Vec<String> {
    world.bus.messages(Topic::FirstTopic).into_iter().map(|message| message.msg).collect()
}

#[tokio::test(start_paused = true)]
async fn an_apps_host_name_gets_a_certificate_and_another_at_two_thirds_of_its_time() {
    let (world, authority, _folder) = world();
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            until_nothing_is_asked(&world).await;
            let told = listed(&api).await;
            assert_eq!(told.certificates[0].source, Source::Ordered);
            assert!(told.orders.is_empty());
            until("nobody is answered any more", || {
                world.edge.certificates().unwrap().challenges.is_empty()
            })
            .await;
            assert_eq!(events(&world), ["done order certificate$shop.example.org"]);
            let first = key(&world);

            pass(&world, LIFETIME / 2).await;
            assert_eq!(authority.ordered().len(), 1);
            world.clock.advance(LIFETIME / 4);
            until("it is renewed", || key(&world) != first).await;
            assert_eq!((authority.ordered().len(), authority.registered()), (2, 1));
            // The one before is shown until there is another one.
            authority.set_mood(Mood::Silent);
            let second = key(&world);
            world.clock.advance(LIFETIME);
            failed(&api, 1).await;
            assert_eq!(key(&world), second);
        })
        .await;
    // By whom the authority knows the platform is sealed.
    let account = world.value(&path::authority_account()).unwrap().to_string();
    assert!(!account.contains("account 1"), "{account}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_names_of_our_own_nor_for_those_that_were_given_one() {
    let (world, authority, _folder) = world();
    world
        .live(async |api| {
            serve(&api, "shop", 20000, "shop.internal").await;
            let given = papers(&["given.example.org"]);
            api.certificates.set(&host("given.example.org"), &given).await.unwrap();
            serve(&api, "blog", 20001, "given.example.org").await;
            pass(&world, SignedDuration::from_hours(3)).await;
            pass(&world, LIFETIME * 2).await;
            assert!(authority.ordered().is_empty() && listed(&api).await.orders.is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_in_the_authoritys_words_and_it_is_asked_ever_more_rarely() {
    let (world, authority, _folder) = world();
    world
        .live(async |api| {
            serve(&api, "shop", 20000, "shop.example.com").await;
            let told = failed(&api, 1).await;
            assert_eq!(told.code, "CERTIFICATE_REFUSED");
            assert_eq!(told.problem, "unauthorized: nobody answers at shop.example.com");
            assert!(told.hint.contains("port 80"), "{}", told.hint);
            let event = "not done order certificate$shop.example.com Error - \
                         CERTIFICATE_REFUSED: unauthorized: nobody answers at shop.example.com";
            assert_eq!(events(&world), [event]);
            // Asked after 5, 10, 20, 40, 80, 160 minutes, and told once.
            for _ in 0..72 {
                pass(&world, SignedDuration::from_mins(4)).await;
            }
            let asked = authority.ordered().len();
            assert!((6..=8).contains(&asked), "{asked}");
            assert_eq!(events(&world).len(), 1);
        })
        .await;
    let asked = authority.ordered().len();
    world
        .live(async |api| {
            // Another life waits as well.
            until("it leads", || !world.edge.taken().is_empty()).await;
            sleep(Duration::from_mins(1)).await;
            assert_eq!(authority.ordered().len(), asked);
            // Who is not an app's any more is not asked for.
            assert_eq!(api.remove("shop", 1).await.status, 200);
            until_nothing_is_listed(&api).await;
            // Back again it waits as before.
            serve_again(&api, 2, "shop", 20000, "shop.example.com").await;
            assert!(failed(&api, 6).await.next_try > world.clock.now());
            sleep(Duration::from_mins(2)).await;
            assert_eq!(authority.ordered().len(), asked);
            assert_eq!(api.remove("shop", 2).await.status, 200);
            world.clock.advance(SignedDuration::from_hours(24));
            until_nothing_is_asked(&world).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_asked_too_often_is_left_alone_for_as_long_as_it_wants() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Limits(Duration::from_hours(30)));
    world
        .live(async |api| {
            let before = world.clock.now();
            serve(&api, "shop", 20000, SHOP).await;
            let told = failed(&api, 1).await;
            assert!(told.next_try >= before + SignedDuration::from_hours(30));
            assert_eq!(told.code, "CERTIFICATE_LIMITED");
            assert!(told.problem.contains("too many"), "{}", told.problem);
            authority.set_mood(Mood::Answers);
            pass(&world, SignedDuration::from_hours(29)).await;
            assert!(authority.ordered().is_empty());
            pass(&world, SignedDuration::from_hours(1)).await;
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            until_nothing_is_asked(&world).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_order_outlives_an_authority_that_goes_away_and_an_edge_that_does_not_answer() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Dawdles);
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("it is ordered", || !authority.ordered().is_empty()).await;
            authority.set_mood(Mood::Silent);
            let told = failed(&api, 2).await;
            assert_eq!(told.code, "CERTIFICATE_AUTHORITY_AWAY");
            assert!(told.problem.ends_with("connection refused"), "{}", told.problem);
            assert!(told.hint.contains("https://authority.example.org"), "{}", told.hint);
            world.edge.set_health(Health::Down);
            authority.set_mood(Mood::Answers);
            let told = failed(&api, 3).await;
            assert_eq!(told.code, "CERTIFICATE_NOT_SHOWN");
            assert!(told.problem.contains("the edge did not take it"), "{}", told.problem);
            sleep(Duration::from_mins(5)).await;
            // Nobody is let ask where nobody answers.
            assert_eq!(authority.worked(), (0, 0));
            world.edge.set_health(Health::Answers);
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            assert_eq!(authority.ordered().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_leads_to_nothing_is_given_up_and_ordered_anew() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Dawdles);
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("it is ordered", || !authority.ordered().is_empty()).await;
            pass(&world, SignedDuration::from_mins(61)).await;
            let told = failed(&api, 1).await;
            assert!(told.problem.contains("within an hour"), "{}", told.problem);
            authority.set_mood(Mood::Errs);
            let told = failed(&api, 2).await;
            assert_eq!(told.code, "CERTIFICATE_NAME_MISMATCH");
            assert!(shown(&world).is_empty());
            // It may have lost all that it knew.
            authority.forget();
            authority.set_mood(Mood::Answers);
            for _ in 0..3 {
                pass(&world, SignedDuration::from_mins(20)).await;
            }
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            assert_eq!(authority.registered(), 2);
            until_nothing_is_asked(&world).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_meanwhile_stays_and_another_authority_is_asked_anew() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Dawdles);
    let given = papers(&[SHOP]);
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("it is ordered", || !authority.ordered().is_empty()).await;
            api.certificates.set(&host(SHOP), &given).await.unwrap();
            authority.set_mood(Mood::Answers);
            until_nothing_is_asked(&world).await;
            pass(&world, SignedDuration::from_hours(1)).await;
            assert_eq!(world.edge.certificates().unwrap().certificates[0].papers, given);
            api.certificates.remove(&host(SHOP)).await.unwrap();
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            until_nothing_is_asked(&world).await;
        })
        .await;
    let mut certificate = world.value(&path::certificate(&host(SHOP))).unwrap();
    assert_eq!(certificate["directory"], "https://authority.example.org/directory");
    certificate["directory"] = "https://staging.example.org/directory".into();
    world.write(&path::certificate(&host(SHOP)), &certificate);
    let before = key(&world);
    world
        .live(async |_| {
            until("the edge shows one of this authority", || key(&world) != before).await;
        })
        .await;
}

/// The story all crashes happen in.
async fn story(api: Api, world: &World) {
    serve(&api, "shop", 20000, SHOP).await;
    until("the edge shows one", || shown(world) == [SHOP]).await;
    until_nothing_is_asked(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_of_an_order_is_gone_on_from() {
    let mut ended = false;
    let (mut crashes, mut most) = (0, 0);
    while !ended {
        let (world, authority, _folder) = world();
        ended = world.live_for(crashes, async |api| story(api, &world).await).await;
        world.live(async |api| story(api, &world).await).await;
        // A crash between an answer and its record costs one account or one order, never two.
        let ordered = authority.ordered().len();
        assert!(ordered <= 2 && authority.registered() <= 2, "crash after {crashes} polls");
        most = most.max(ordered);
        let told = events(&world);
        assert!(told.iter().all(|told| *told == "done order certificate$shop.example.org"));
        let ids: std::collections::BTreeSet<_> = world
            .bus
            .records(Topic::FirstTopic)
            .iter()
            .map(|told| told.record.header("message-id").unwrap().to_vec())
            .collect();
        assert_eq!(ids.len(), 1, "crash after {crashes} polls: repeats carry the same id");
        crashes += 1;
    }
    assert!(crashes > 60, "the story has many points to crash at: {crashes}");
    assert_eq!(most, 2, "one crash is between the order and its record");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_any_write_of_an_order_is_repaired() {
    use testkit::store::Fault;
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost] {
        for passing in 0..14 {
            let (world, authority, _folder) = world();
            world
                .live(async |api| {
                    serve(&api, "shop", 20000, SHOP).await;
                    world.store.fail_commit_after(passing, fault);
                    story(api, &world).await;
                })
                .await;
            assert!(authority.ordered().len() <= 2, "{fault:?} after {passing} commits");
        }
    }
}
