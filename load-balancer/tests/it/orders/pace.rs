//! How often an authority is asked, by how many accounts, and for what no more.

use std::time::Duration;

use common::record::path;
use jiff::SignedDuration;
use testkit::bus::Availability;
use testkit::contract::edge_certificates::papers;
use testkit::public_authority::{LIFETIME, Mood};
use tokio::time::sleep;

use super::{SHOP, events, failed, host, pass, serve, shown, until_nothing_is_asked, world};
use crate::world::until;

#[tokio::test(start_paused = true)]
async fn an_authority_that_asks_for_a_while_without_saying_so_is_told_once_that_it_can() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Ponders(20));
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            assert_eq!(authority.worked(), (1, 1));
            // One that never ends is told again each minute, as it may not have heard, and then given up.
            authority.set_mood(Mood::Ponders(u32::MAX));
            serve(&api, "blog", 20001, "blog.example.org").await;
            until("it is told", || authority.worked().0 == 2).await;
            sleep(Duration::from_secs(50)).await;
            assert_eq!(authority.worked().0, 2);
            sleep(Duration::from_mins(1)).await;
            assert_eq!(authority.worked().0, 3);
            pass(&world, SignedDuration::from_mins(61)).await;
            let told = failed(&api, 1).await;
            assert!(told.problem.contains("within an hour"), "{}", told.problem);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_order_is_looked_at_when_the_authority_wants_it_whatever_else_happens() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Works(Duration::from_mins(8)));
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            until("it is looked at", || authority.looked() == 1).await;
            serve(&api, "blog", 20001, "blog.internal").await;
            sleep(Duration::from_mins(7)).await;
            assert_eq!(authority.looked(), 1);
            authority.set_mood(Mood::Works(Duration::ZERO));
            until("it is looked at", || authority.looked() == 2).await;
            sleep(Duration::from_secs(10)).await;
            assert!((8..=13).contains(&authority.looked()), "{}", authority.looked());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn orders_that_begin_together_share_an_account() {
    let (mut world, authority, _folder) = world();
    world.authority = None;
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            serve(&api, "blog", 20001, "blog.example.org").await;
        })
        .await;
    world.authority = Some(authority.clone());
    authority.set_mood(Mood::Dawdles);
    world
        .live(async |api| {
            until("both are ordered", || authority.ordered().len() == 2).await;
            assert_eq!(authority.registered(), 1);
            authority.forget();
            failed(&api, 1).await;
            authority.set_mood(Mood::Answers);
            pass(&world, SignedDuration::from_mins(6)).await;
            until("the edge shows both", || shown(&world).len() == 2).await;
            assert_eq!(authority.registered(), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_order_does_not_wait_for_who_is_told_of_it() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Refuses);
    world
        .live(async |api| {
            world.bus.set_availability(Availability::Down);
            serve(&api, "shop", 20000, SHOP).await;
            failed(&api, 1).await;
            authority.set_mood(Mood::Answers);
            pass(&world, SignedDuration::from_mins(6)).await;
            until("the edge shows one", || shown(&world) == [SHOP]).await;
            assert!(events(&world).is_empty());
            world.bus.set_availability(Availability::Up);
            until_nothing_is_asked(&world).await;
            let told = events(&world);
            assert!(told[0].starts_with("not done order certificate$shop.example.org"), "{told:?}");
            assert_eq!(told[1..], ["done order certificate$shop.example.org"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_and_no_app_asks_for_is_removed() {
    let (world, authority, _folder) = world();
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            serve(&api, "blog", 20001, "blog.example.org").await;
            api.certificates
                .set(&host("given.example.org"), &papers(&["given.example.org"]))
                .await
                .unwrap();
            until("the edge shows them", || shown(&world).len() == 3).await;
            authority.set_mood(Mood::Silent);
            assert_eq!(api.remove("shop", 1).await.status, 200);
            pass(&world, LIFETIME / 2).await;
            assert_eq!(shown(&world).len(), 3);
            pass(&world, LIFETIME).await;
            // An app's own is shown on, as one that somebody gave.
            until("it is gone", || shown(&world) == ["blog.example.org", "given.example.org"])
                .await;
            assert_eq!(world.value(&path::certificate(&host(SHOP))), None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_one_authority_said_does_not_hold_up_another() {
    let (world, authority, _folder) = world();
    authority.set_mood(Mood::Limits(Duration::from_hours(100)));
    world
        .live(async |api| {
            serve(&api, "shop", 20000, SHOP).await;
            failed(&api, 1).await;
        })
        .await;
    authority.set_mood(Mood::Answers);
    let mut order = world.value(&path::order(&host(SHOP))).unwrap();
    assert_eq!(order["failed_at"], "https://authority.example.org/directory");
    order["failed_at"] = "https://staging.example.org/directory".into();
    world.write(&path::order(&host(SHOP)), &order);
    world.live(async |_| until("the edge shows one", || shown(&world) == [SHOP]).await).await;
}
