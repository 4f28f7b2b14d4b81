//! What opens shares, where a lifecycle manager's machine is down when it changes.

use std::sync::Arc;

use bootstrapper::description::Description;
use bootstrapper::state::Book as _;
use bootstrapper::{Novelty, Plan, plan};
use common::name::NodeName;
use common::port::Machines as _;
use common::port::host::HostKey;
use rollout::parts::Credentials;
use testkit::hosts::File;
use testkit::machines::Fault;

use crate::agents::{GIVEN, LEDGER};
use crate::given::{kept_with_share, kept_with_share_in, make_folders, with_secret_in};
use crate::power::Cut;
use crate::world::{Computer, MemoryBook, World};

const NODE_3: &str = "192.0.2.13";

/// The secret that the lifecycle manager of a machine goes by, if it was given one since it was made.
fn secret(world: &World, number: u8) -> Option<String> {
    let file = world
        .hosts
        .with(&format!("192.0.2.1{number}"), |system| system.files.get(GIVEN).cloned())?;
    let credentials: Credentials = serde_json::from_slice(&file.bytes).unwrap();
    credentials.shares.into_values().next().unwrap().secret
}

/// The host key of the third machine as it is known on a computer.
fn pinned(computer: &Computer) -> HostKey {
    let known = computer.book.load().unwrap().unwrap();
    let mut machines = known.machines.into_iter();
    machines.find(|machine| machine.name.as_str() == "node-3").unwrap().host_key.unwrap()
}

fn ledger(world: &World) -> File {
    world.hosts.with(NODE_3, |system| system.files[LEDGER].clone())
}

async fn planned(world: &World, description: &Description) -> Plan {
    let Computer { ports, book, .. } = world.computer(3);
    plan(&ports, description, book.as_ref(), Novelty::Unsaid).await.unwrap()
}

/// A platform that keeps itself, whose second lifecycle manager's machine is off.
async fn one_is_off() -> World {
    let world = kept_with_share().await;
    world.machines.power_off(&"node-3".parse().unwrap());
    world
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_off_and_comes_up_is_given_them_at_once() {
    let world = one_is_off().await;
    let mut again = world.computer(2);
    again.description = with_secret_in("/ops/second.secret");
    again.apply().await.unwrap();
    let second = Some("content of /ops/second.secret".to_owned());
    assert_eq!([secret(&world, 2), secret(&world, 3)], [second.clone(), second]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_made_anew_by_somebody_else_is_given_them_under_its_own_key() {
    for is_vouched_for in [true, false] {
        let world = World::new();
        if !is_vouched_for {
            world.machines.vouch_for_no_key();
        }
        let world = kept_with_share_in(world).await;
        let file = with_secret_in("/ops/second.secret");
        let mut owner = world.computer(2);
        owner.description = file.clone();
        owner.apply().await.unwrap();
        let (former, told) = (pinned(&owner), ledger(&world));
        world.machines.delete(&"node-3".parse().unwrap()).await.unwrap();
        let mut other = world.computer(3);
        other.description = with_secret_in("/ops/first.secret");
        other.apply().await.unwrap();
        // The platform puts on it what was there.
        world.hosts.with(NODE_3, |system| system.files.insert(LEDGER.to_owned(), told));
        make_folders(&world);
        let mut again = world.computer_with(2, Cut::Never, owner.book);
        again.description = file;
        again.apply().await.unwrap();
        assert_eq!(secret(&world, 3), secret(&world, 2));
        let own = world.hosts.with(NODE_3, |system| system.host_key().clone());
        assert_eq!(pinned(&again), own);
        assert_ne!(own, former, "it has another key");
    }
}

#[tokio::test(start_paused = true)]
async fn whose_the_keys_are_that_were_pinned_before_ids_is_learned_by_the_next_apply() {
    let world = World::new();
    world.machines.vouch_for_no_key();
    let world = kept_with_share_in(world).await;
    let mut owner = world.computer(2);
    owner.description = with_secret_in("/ops/first.secret");
    let state = owner.apply().await.unwrap();
    let mut former = state.clone();
    former.machines.iter_mut().for_each(|machine| machine.id = None);
    assert_ne!(former, state);
    let book = Arc::new(MemoryBook::of(former));
    let mut again = world.computer_with(2, Cut::Never, book);
    again.description = with_secret_in("/ops/first.secret");
    assert_eq!(again.apply().await.unwrap().machines, state.machines);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_off_is_open_in_the_plan_until_it_has_them() {
    let world = one_is_off().await;
    let file = with_secret_in("/ops/second.secret");
    let off: NodeName = "node-3".parse().unwrap();
    world.machines.fail_next([Fault::Refused]);
    let mut again = world.computer(2);
    again.description = file.clone();
    let troubles = again.apply().await.unwrap_err();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].machine.as_ref(), Some(&off));
    assert!(secret(&world, 2).is_some() && secret(&world, 3).is_none());
    let unseen = planned(&world, &file).await;
    assert!(unseen.to_be_given.is_empty() && !unseen.is_done());
    let [trouble] = unseen.unseen.as_slice() else { panic!("{unseen:?}") };
    assert_eq!(trouble.machine.as_ref(), Some(&off));
    assert_eq!((trouble.code, trouble.hint.as_str()), ("MACHINE_UNREACHABLE", "start it"));
    // Somebody switches it on by hand.
    world.computer(2).ports.backends["local"].start(&off).await.unwrap();
    let open = planned(&world, &file).await;
    assert!(open.kept_by_lifecycle_manager && !open.is_done());
    assert_eq!((open.to_be_given, open.unseen), (vec![off], Vec::new()));
    let mut last = world.computer(2);
    last.description = file.clone();
    last.apply().await.unwrap();
    assert_eq!(secret(&world, 2), secret(&world, 3));
    let done = planned(&world, &file).await;
    assert!(done.is_done(), "{done:?}");
}
