//! Another image of the base, on a platform that keeps itself.

use std::time::Duration;

use bootstrapper::description::Description;
use bootstrapper::{Novelty, plan};
use common::digest::Digest;
use expect_test::expect_file;
use rollout::parts::{Configured, Credentials, FormerBase};
use testkit::hosts::machine_programs::{FREE_DISK, put};
use testkit::nodes::Reach;
use tokio::time::timeout;

use crate::agents::{GIVEN, LEDGER};
use crate::cut_off::{Work, until_the_power_goes};
use crate::files::described;
use crate::given::{MANAGERS, kept_with_share, make_folders, secret, with_secret_in};
use crate::keeper::{image, node, own_image, services};
use crate::planning::planned;
use crate::power::Cut;
use crate::world::{Computer, FILE, World};

const OWN: &str = "avishkar/platform:dev";
const NEXT: &str = "avishkar/platform:next";
const MENDED: &str = "avishkar/platform:mended";
/// The lifecycle managers' machines.
const FIRST: &str = "192.0.2.12";
const SECOND: &str = "192.0.2.13";

const GOES_BACK: [&str; 3] = [
    "give the lifecycle manager of node-3 again what it had before",
    "wait until the lifecycle manager of node-3 is ready by it",
    "give the lifecycle manager of node-2 again what it had before",
];

/// The file, with an image of the base or without.
fn on(base: Option<&str>) -> Description {
    let Some(base) = base else { return described(FILE).unwrap() };
    described(&FILE.replacen("[images]\n", &format!("[images]\nbase = {base:?}\n"), 1)).unwrap()
}

/// As an `apply` that was cut off leaves a lifecycle manager.
fn was_given(world: &World, address: &str, base: &str) {
    let given = Credentials {
        given: 1,
        azure: None,
        shares: [].into(),
        configured: Configured { base: Some(image(base)), ..Configured::default() },
        upgraded_from: Some(FormerBase { image: None }),
    };
    let given = serde_json::to_string(&given).unwrap();
    world.hosts.with(address, |system| put(system, GIVEN, &given));
}

/// A platform that lifecycle managers keep.
async fn kept() -> (World, Computer) {
    let world = World::new();
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    make_folders(&world);
    (world, owner)
}

fn images(world: &World) -> Vec<Digest> {
    services().map(|(number, part)| world.image_of(number, &part)).collect()
}

/// How often the services of the base were ordered.
fn told(world: &World) -> Vec<u64> {
    let told = services().map(|(number, part)| world.parts.told(&node(number), &part));
    told.map(|told| told.unwrap().generation.0).collect()
}

async fn is_done(computer: &Computer) -> bool {
    let Computer { ports, description, book, .. } = computer;
    let planned = plan(ports, description, book.as_ref(), Novelty::Unsaid).await.unwrap();
    planned.is_done()
}

fn computer_on(world: &World, base: Option<&str>) -> Computer {
    let mut computer = world.computer(2);
    computer.description = on(base);
    computer
}

#[tokio::test(start_paused = true)]
async fn another_image_of_the_base_is_brought_and_all_of_it_runs_from_it_and_goes_back_when_asked()
{
    let (world, mut owner) = kept().await;
    assert!(is_done(&computer_on(&world, Some(OWN))).await, "it runs from that");
    owner.description = on(Some(NEXT));
    let text = planned(&owner).await;
    expect_file!["upgraded.txt"].assert_eq(&text);
    for (base, is_other) in [(Some(NEXT), true), (Some(NEXT), false), (None, true), (None, false)] {
        let computer = computer_on(&world, base);
        assert_eq!(is_done(&computer).await, !is_other, "{base:?}");
        computer.apply().await.unwrap();
        let wanted = base.map_or_else(own_image, image);
        assert_eq!(images(&world), vec![wanted; 4]);
        for number in MANAGERS {
            let given = world.given(number).unwrap();
            assert_eq!(given.configured.base, base.map(image));
            assert_eq!(given.upgraded_from, None, "there is nothing to go back to");
        }
        let said = computer.heard.sentences();
        let given = said.iter().filter(|said| said.starts_with("give the lifecycle manager of "));
        assert_eq!(given.count(), if is_other { MANAGERS.len() } else { 0 }, "{said:?}");
        assert!(is_done(&computer).await);
    }
    // Nothing else was touched.
    assert!(world.shown()[0].ends_with("registry x1 zookeeper x1"), "{:?}", world.shown());
}

#[tokio::test(start_paused = true)]
async fn the_base_goes_back_where_one_is_not_ready_from_its_new_image_and_others_are_not_touched() {
    let (world, _) = kept().await;
    world.bad.lock().unwrap().insert(image(NEXT));
    let mut generations = told(&world);
    for _ in 0..2 {
        let computer = computer_on(&world, Some(NEXT));
        let troubles = computer.apply().await.unwrap_err();
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert_eq!(
            (trouble.code, trouble.machine.is_some()),
            ("PART_NOT_READY", true),
            "{trouble}"
        );
        for number in MANAGERS {
            let given = world.given(number).unwrap();
            let going_back = Some(FormerBase { image: None });
            assert_eq!((given.configured.base, given.upgraded_from), (None, going_back));
        }
        // Whoever runs from the former image is there again before what is backed out of ends.
        let said = computer.heard.sentences();
        let begun = said.iter().rposition(|said| said.starts_with("wait until lifecycle managers"));
        assert_eq!(said[begun.unwrap() + 1..][..3], GOES_BACK);
        // It was replaced, and is taken back by who keeps the platform; no other one was touched.
        generations[0] += 2;
        assert_eq!(images(&world), vec![own_image(); 4]);
        assert_eq!(told(&world), generations);
    }
    // Until somebody has seen that it did.
    let computer = computer_on(&world, None);
    assert!(!is_done(&computer).await);
    computer.apply().await.unwrap();
    assert!(
        MANAGERS.into_iter().all(|number| world.given(number).unwrap().upgraded_from.is_none())
    );
    assert!(is_done(&computer).await);
    assert_eq!(told(&world), generations);
    world.bad.lock().unwrap().clear();
    computer_on(&world, Some(NEXT)).apply().await.unwrap();
    assert_eq!(images(&world), vec![image(NEXT); 4]);
}

#[tokio::test(start_paused = true)]
async fn the_base_stays_where_a_machine_of_it_is_away() {
    let (world, _) = kept().await;
    world.parts.set_reach(&node(3), Reach::Partitioned).await;
    let troubles = computer_on(&world, Some(NEXT)).apply().await.unwrap_err();
    let said = format!("{troubles:?}");
    assert!(said.contains("nothing of the base changes while a part of it is away"), "{said}");
    assert!(said.contains("its agent, or its machine, does not answer"), "{said}");
    assert!(MANAGERS.into_iter().all(|number| world.given(number).is_none()));
    world.parts.set_reach(&node(3), Reach::Up).await;
    // Its agent was never told of one.
    let nothing = "{\"schema\": 2, \"epochs\": {}, \"containers\": {}, \"parts\": {}}";
    world.hosts.with(SECOND, |system| put(system, LEDGER, nothing));
    let troubles = computer_on(&world, Some(NEXT)).apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(trouble.cause, "no lifecycle manager is on it");
    assert_eq!(trouble.machine, Some(node(3)));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_given_also_while_an_upgrade_waits_for_a_machine_that_is_away() {
    let world = kept_with_share().await;
    was_given(&world, FIRST, NEXT);
    world.parts.set_reach(&node(3), Reach::Partitioned).await;
    let mut computer = world.computer(2);
    computer.description = with_secret_in("/ops/second.secret");
    computer.apply().await.unwrap_err();
    let second = Some("content of /ops/second.secret".to_owned());
    assert_eq!(MANAGERS.map(|number| secret(&world, number)), [second.clone(), None]);
    let given = world.given(2).unwrap();
    assert_eq!(given.configured.base, Some(image(NEXT)), "nothing of the base changes");
    assert_eq!(given.upgraded_from, Some(FormerBase { image: None }), "it is under way");
    world.parts.set_reach(&node(3), Reach::Up).await;
    computer.apply().await.unwrap();
    assert_eq!(MANAGERS.map(|number| secret(&world, number)), [second.clone(), second]);
    for number in MANAGERS {
        let given = world.given(number).unwrap();
        assert_eq!((given.configured.base, given.upgraded_from), (None, None));
    }
    assert_eq!(images(&world), vec![own_image(); 4]);
}

#[tokio::test(start_paused = true)]
async fn the_base_goes_back_where_one_had_its_new_image_from_an_apply_that_was_cut_off() {
    let (world, _) = kept().await;
    was_given(&world, FIRST, NEXT);
    world.bad.lock().unwrap().insert(image(NEXT));
    world.wrong.lock().unwrap().insert(node(3), image(NEXT).to_string());
    let troubles = computer_on(&world, Some(NEXT)).apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(trouble.machine, Some(node(3)), "it does not come back with it");
    for number in MANAGERS {
        let given = world.given(number).unwrap();
        let going_back = Some(FormerBase { image: None });
        assert_eq!((given.configured.base, given.upgraded_from), (None, going_back), "{number}");
    }
    computer_on(&world, None).apply().await.unwrap();
    assert_eq!(images(&world), vec![own_image(); 4]);
}

/// Somebody ends `apply` while the first lifecycle manager alone runs from its new image, and is not ready from that.
async fn ended_in_the_middle(world: &World) -> Computer {
    world.bad.lock().unwrap().insert(image(NEXT));
    let computer = computer_on(world, Some(NEXT));
    let ended = timeout(Duration::from_mins(2), computer.apply()).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(images(world), [image(NEXT), own_image(), own_image(), own_image()]);
    computer
}

#[tokio::test(start_paused = true)]
async fn what_mends_the_base_is_given_also_where_the_first_one_is_ill() {
    let (world, _) = kept().await;
    let mut computer = ended_in_the_middle(&world).await;
    computer.description = on(Some(MENDED));
    computer.apply().await.unwrap();
    assert_eq!(images(&world), vec![image(MENDED); 4]);
}

#[tokio::test(start_paused = true)]
async fn what_the_former_file_backs_out_of_ends_last() {
    let (world, _) = kept().await;
    let mut computer = ended_in_the_middle(&world).await;
    was_given(&world, SECOND, MENDED);
    let (_, manager) = services().next().unwrap();
    world.parts.set_healthy(&node(2), &manager, true);
    computer.description = on(None);
    computer.apply().await.unwrap();
    let said = computer.heard.sentences();
    let given = said.iter().filter(|said| said.starts_with("give the lifecycle manager of "));
    let last: Vec<_> = given.filter_map(|said| said.split(' ').nth(5)).skip(2).collect();
    assert_eq!(last, ["node-3", "node-2"], "{said:?}");
    assert_eq!(images(&world), vec![own_image(); 4]);
}

#[tokio::test(start_paused = true)]
async fn the_base_stays_where_a_machine_of_it_has_no_room_for_another_image() {
    let (world, _) = kept().await;
    let free = |bytes: &str| world.hosts.with(SECOND, |system| put(system, FREE_DISK, bytes));
    free("1048576");
    let troubles = computer_on(&world, Some(NEXT)).apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(trouble.code, "INSUFFICIENT_STORAGE", "{trouble}");
    assert!(MANAGERS.into_iter().all(|number| world.given(number).is_none()));
    computer_on(&world, Some(OWN)).apply().await.unwrap();
    free("107374182400");
    computer_on(&world, Some(NEXT)).apply().await.unwrap();
    assert_eq!(images(&world), vec![image(NEXT); 4]);
}

#[tokio::test(start_paused = true)]
async fn another_image_of_the_base_is_refused_where_nobody_stands_by() {
    let alone = |mut description: Description| {
        description.platform.placement.lifecycle_manager.truncate(1);
        description
    };
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = alone(on(None));
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    make_folders(&world);
    owner.description = alone(on(Some(NEXT)));
    let Computer { ports, description, book, .. } = &owner;
    let planned = plan(ports, description, book.as_ref(), Novelty::Unsaid).await.unwrap();
    let troubles = owner.apply().await.unwrap_err();
    assert_eq!(planned.refused, troubles);
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].code, "DESCRIPTION_CHANGED");
    assert!(troubles[0].cause.contains("placement.lifecycle_manager has one name"), "{troubles:?}");
    assert!(world.given(2).is_none());
    owner.description = alone(on(Some(OWN)));
    owner.apply().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whenever_an_upgrade_of_the_base_is_cut_off_the_next_apply_completes_it() {
    let (steady, _) = kept().await;
    let computer = computer_on(&steady, Some(NEXT));
    computer.apply().await.unwrap();
    let calls = computer.power.calls();
    assert!(calls > 10, "{calls}");
    for call in 0..calls {
        for cut in [Cut::Before(call), Cut::After(call)] {
            let (world, _) = kept().await;
            let mut computer = world.computer_with(2, cut, std::sync::Arc::default());
            computer.description = on(Some(NEXT));
            until_the_power_goes(&computer, Work::Apply).await;
            let mut again = world.computer_with(2, Cut::Never, computer.book);
            again.description = on(Some(NEXT));
            again.apply().await.unwrap_or_else(|err| panic!("{cut:?}: {err:?}"));
            assert_eq!(images(&world), vec![image(NEXT); 4], "{cut:?}");
            assert!(is_done(&again).await, "{cut:?}");
        }
    }
}
