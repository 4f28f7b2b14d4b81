//! A platform has one authority, whatever becomes of its first machine.

use std::sync::Arc;

use bootstrapper::state::{Book as _, Phase};
use bootstrapper::{HostKeys, Novelty, Trouble, plan};
use common::port::Machines as _;
use testkit::hosts::{Health, machine_programs as engine};

use crate::agents::LEDGER;
use crate::applying::WHOLE;
use crate::power::Cut;
use crate::world::{Computer, GIVEN, World};

const FIRST: &str = "192.0.2.11";
const AUTHORITY: &str = "/var/lib/avishkar/platform/authority.json";
const TRUSTED: &str = "/etc/avishkar/pki/ca.pem";

/// A platform whose first machine is another one now, and its own operator's computer.
async fn bereft() -> (World, Computer) {
    bereft_in(World::new()).await
}

async fn bereft_in(world: World) -> (World, Computer) {
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.machines.delete(&"node-1".parse().unwrap()).await.unwrap();
    (world, computer)
}

fn file(world: &World, address: &str, path: &str) -> String {
    world.hosts.with(address, |system| engine::text(system, path))
}

/// No lifecycle manager is left.
fn without_keepers(world: &World) {
    for address in ["192.0.2.12", "192.0.2.13"] {
        world.hosts.with(address, |system| engine::put(system, LEDGER, "{}"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_lost_is_brought_back_from_a_lifecycle_managers_machine() {
    // One who knows the platform, and one who never heard of it.
    for number in [1, 2] {
        let (world, owner) = bereft().await;
        let book = if number == 1 { owner.book } else { Arc::default() };
        let computer = world.computer_with(number, Cut::Never, book);
        let state = computer.apply().await.unwrap();
        assert_eq!(state.authority.as_deref(), Some("authority 1"));
        let said = computer.heard.sentences();
        let sentence = "bring the platform's authority back to node-1 from node-2".to_owned();
        assert!(said.contains(&sentence), "{said:?}");
        assert_eq!(world.shown(), WHOLE);
        assert!(file(&world, FIRST, AUTHORITY).contains("key 1"));
        let ssh_key = file(&world, FIRST, "/var/lib/avishkar/platform/ssh.key");
        assert!(ssh_key.starts_with("content of "), "{ssh_key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_first_machine_has_heard_nobody_and_the_others_are_asked_as_well() {
    let (world, _) = bereft().await;
    world.lead(&[2, 3, 4]).await;
    let computer = world.computer(2);
    let state = computer.apply().await.unwrap();
    assert_eq!(state.phase, Phase::Applied);
    let said = computer.heard.sentences();
    assert!(said.iter().any(|said| said.contains("keeps the platform")), "{said:?}");
    assert!(
        !said.iter().any(|said| said.starts_with("run ") && !said.contains("agent")),
        "{said:?}"
    );
    // What only an operator can bring is brought.
    assert!(said.contains(&"run the agent on node-1".to_owned()), "{said:?}");
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_it_any_more_no_second_one_is_made() {
    let (world, owner) = bereft().await;
    without_keepers(&world);
    for computer in [world.computer_with(1, Cut::Never, owner.book), world.computer(2)] {
        let troubles = computer.apply().await.unwrap_err();
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert_eq!(trouble.code, "AUTHORITY_LOST");
        assert_eq!(trouble.machine.as_ref().unwrap().as_str(), "node-1");
        assert!(trouble.cause.starts_with("node-2, node-3, node-4 trust "), "{trouble}");
        assert!(trouble.hint.contains("(node-2, node-3)"), "{trouble}");
        assert_eq!(file(&world, FIRST, AUTHORITY), "");
        for address in ["192.0.2.12", "192.0.2.13", GIVEN] {
            assert_eq!(file(&world, address, TRUSTED), "authority 1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_platform_is_left_to_it() {
    let theirs = |world: &World| {
        world.hosts.with(GIVEN, |system| engine::put(system, TRUSTED, "authority 7"));
    };
    // Who knows nothing goes by the platform's name, which a lifecycle manager's machine says.
    for number in [1, 2] {
        let (world, owner) = bereft().await;
        theirs(&world);
        let book = if number == 1 { owner.book } else { Arc::default() };
        let troubles = world.computer_with(number, Cut::Never, book).apply().await.unwrap_err();
        assert_eq!(told(&troubles), ["NODE_FOREIGN node-4"]);
        assert_eq!(file(&world, GIVEN, TRUSTED), "authority 7");
        assert!(file(&world, FIRST, AUTHORITY).contains("key 1"));
    }
}

fn told(troubles: &[Trouble]) -> Vec<String> {
    let told = troubles.iter().map(|trouble| match &trouble.machine {
        Some(machine) => format!("{} {machine}", trouble.code),
        None => trouble.code.to_owned(),
    });
    told.collect()
}

/// A given machine on which a lifecycle manager of a platform of this name stood.
fn keep_for(world: &World, platform: &str) {
    let file = |path: &str, content: &str| serde_json::json!({"path": path, "content": content});
    let description =
        serde_json::json!({"name": platform, "machines": [{"name": "node-1"}]}).to_string();
    let papers = r#"{"certificate":"authority 7","key":"key 7"}"#;
    let files = [
        file("/etc/avishkar/platform.json", &description),
        file("/etc/avishkar/authority.json", papers),
        file("/etc/avishkar/ssh/key", "their key"),
        file("/etc/avishkar/secrets/jwt", "their jwt"),
    ];
    let parts = serde_json::json!({"lifecycle-manager": {"spec": {"files": files}}});
    world.hosts.with(GIVEN, |system| {
        engine::put(system, TRUSTED, "authority 7");
        engine::put(system, LEDGER, &serde_json::json!({"parts": parts}).to_string());
    });
}

#[tokio::test(start_paused = true)]
async fn the_authority_of_a_platform_of_another_name_is_never_taken() {
    // The only node of the file is another platform's, which calls its first machine as we do.
    let world = World::new();
    keep_for(&world, "shop");
    let computer = world.computer(1);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(told(&troubles), ["NODE_FOREIGN node-4"]);
    let folder = "/var/lib/avishkar/platform";
    assert!(file(&world, FIRST, AUTHORITY).contains("key 1"));
    assert!(!file(&world, FIRST, &format!("{folder}/jwt")).contains("their"));
    assert!(!file(&world, FIRST, &format!("{folder}/ssh.key")).contains("their"));
    assert_eq!(file(&world, GIVEN, TRUSTED), "authority 7");
}

#[tokio::test(start_paused = true)]
async fn a_node_of_which_nobody_says_whose_it_is_stops_whoever_does_not_say_that_it_is_new() {
    let world = World::new();
    world.hosts.with(GIVEN, |system| engine::put(system, TRUSTED, "authority 7"));
    let troubles = world.computer(1).apply().await.unwrap_err();
    assert_eq!(told(&troubles), ["AUTHORITY_LOST node-1"]);
    assert!(troubles[0].cause.contains("says whose it is"), "{}", troubles[0]);
    assert_eq!(file(&world, FIRST, AUTHORITY), "");
    let mut sure = world.computer(1);
    sure.manner.novelty = Novelty::Said;
    assert_eq!(told(&sure.apply().await.unwrap_err()), ["NODE_FOREIGN node-4"]);
    assert_eq!(file(&world, GIVEN, TRUSTED), "authority 7");
}

#[tokio::test(start_paused = true)]
async fn a_first_machine_that_keeps_another_platforms_authority_is_left_to_it() {
    let world = World::new();
    world.computer(1).apply().await.unwrap();
    let mut other = world.computer(2);
    other.description.platform.name = "shop".parse().unwrap();
    let known = world.computer(1);
    known.apply().await.unwrap();
    other.description.platform.machines = known.book.load().unwrap().unwrap().machines;
    let cases = [
        other.apply().await.unwrap_err(),
        plan(&other.ports, &other.description, other.book.as_ref(), Novelty::Unsaid)
            .await
            .unwrap_err(),
        other.destroy().await.unwrap_err(),
    ];
    for troubles in cases {
        assert_eq!(told(&troubles), ["NODE_FOREIGN node-1"]);
        assert!(troubles[0].cause.contains("the platform rehearsal"), "{}", troubles[0]);
    }
    assert_eq!(other.book.load().unwrap().unwrap().authority, None);
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_vouches_for_no_key_hides_no_node() {
    let world = World::new();
    world.machines.vouch_for_no_key();
    let (world, _) = bereft_in(world).await;
    let state = world.computer(2).apply().await.unwrap();
    assert_eq!(state.authority.as_deref(), Some("authority 1"));
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn where_a_machine_cannot_be_looked_at_nobody_makes_an_authority() {
    let (world, _) = bereft().await;
    let others = ["192.0.2.12", "192.0.2.13", GIVEN];
    let all = |health: Health| {
        for address in others {
            world.hosts.with(address, |system| system.health = health);
        }
    };
    all(Health::Off);
    let computer = world.computer(2);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(
        told(&troubles),
        [
            "MACHINE_UNREACHABLE node-2",
            "MACHINE_UNREACHABLE node-3",
            "MACHINE_UNREACHABLE node-4",
            "AUTHORITY_UNKNOWN node-1"
        ]
    );
    assert!(troubles[3].hint.contains("--new-platform"), "{}", troubles[3]);
    assert_eq!(file(&world, FIRST, AUTHORITY), "");
    assert_eq!(computer.book.load().unwrap().unwrap().authority, None);
    // Nothing is decided: once they answer it is the one that it was.
    all(Health::Answers);
    let state = computer.apply().await.unwrap();
    assert_eq!(state.authority.as_deref(), Some("authority 1"));
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_nobody_pinned_or_that_is_off_may_have_it_as_well() {
    let world = World::new();
    let mut computer = world.computer(1);
    computer.manner.host_keys = HostKeys::PinnedOnly;
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(told(&troubles), ["HOST_KEY_UNKNOWN node-4", "AUTHORITY_UNKNOWN node-1"]);
    let planned =
        plan(&computer.ports, &computer.description, computer.book.as_ref(), Novelty::Unsaid).await;
    assert_eq!(told(&planned.unwrap().refused), ["AUTHORITY_UNKNOWN node-1"]);
    // As `apply` would, it believes who says that there never was one.
    let Computer { ports, description, book, .. } = &computer;
    let new = plan(ports, description, book.as_ref(), Novelty::Said).await.unwrap();
    assert!(new.refused.is_empty() && !new.is_done(), "{new:?}");
    let (world, _) = bereft().await;
    world.hosts.with(GIVEN, |system| drop(system.files.remove(TRUSTED)));
    for name in ["node-2", "node-3"] {
        world.machines.power_off(&name.parse().unwrap());
    }
    let troubles = world.computer(2).apply().await.unwrap_err();
    assert_eq!(troubles.last().unwrap().code, "AUTHORITY_UNKNOWN");
    assert_eq!(file(&world, FIRST, AUTHORITY), "");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_begins_with_another_machine_moves_no_authority() {
    let world = World::new();
    world.computer(1).apply().await.unwrap();
    let mut computer = world.computer(2);
    computer.description.platform.machines.swap(0, 1);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "AUTHORITY_LOST");
    assert!(troubles[0].hint.contains("write node-1 as the first"), "{}", troubles[0]);
    assert_eq!(file(&world, "192.0.2.12", AUTHORITY), "");
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_where_it_is_brought_back_from_and_touches_nothing() {
    let (world, owner) = bereft().await;
    let of = async |computer: &Computer| {
        plan(&computer.ports, &computer.description, computer.book.as_ref(), Novelty::Unsaid).await
    };
    let planned = of(&owner).await.unwrap();
    assert_eq!(
        planned.machines[0].steps[0],
        "bring the platform's authority back to node-1 from node-2"
    );
    without_keepers(&world);
    assert_eq!(of(&owner).await.unwrap_err()[0].code, "AUTHORITY_LOST");
    assert_eq!(world.machines.specs().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whenever_the_power_goes_while_it_is_brought_back_it_is_the_same_one() {
    let (world, owner) = bereft().await;
    let book = Arc::clone(&owner.book);
    let steady = world.computer_with(1, Cut::Never, book);
    steady.apply().await.unwrap();
    for call in 0..steady.power.calls() {
        for cut in [Cut::Before(call), Cut::After(call)] {
            let (world, _) = bereft().await;
            let computer = world.computer_with(2, cut, Arc::default());
            tokio::select! {
                biased;
                () = computer.power.gone() => {}
                done = computer.apply() => drop(done),
            }
            let again = world.computer_with(2, Cut::Never, computer.book);
            let state = again.apply().await.unwrap_or_else(|err| panic!("{cut:?}: {err:?}"));
            assert_eq!(state.authority.as_deref(), Some("authority 1"), "{cut:?}");
            assert_eq!(world.shown(), WHOLE, "{cut:?}");
        }
    }
}
