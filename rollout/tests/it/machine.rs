//! A machine becomes a node, from wherever it is.

use std::sync::Arc;

use common::port::host::Credential;
use rollout::machine::{Goal, Ports, observe, plan};

use crate::cut::{CutHosts, Moment};
use crate::engine;
use crate::world::{ADDRESS, FixedAuthority, KEY, Notes, World, ensure};

/// The sentences of what is left to do.
async fn left(world: &World, goal: &Goal) -> Vec<String> {
    let seen = observe(&world.ports, goal).await.unwrap();
    plan(goal, &seen).unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_a_machine_that_nobody_knows_says_everything_it_may_need() {
    let (world, goal) = (World::new(), World::local());
    assert_eq!(
        left(&world, &goal).await,
        [
            "make node-1, a machine that is local",
            "install Docker on node-1, where it is missing",
            "make the platform's folders on node-1, where it is missing",
            "tell node-1 how packages are reached, where it is missing",
            "give the agent of node-1 its certificate, where it is missing",
            "bring 2 images to node-1, where it is missing",
            "run the agent on node-1, where it is missing",
            "wait until the agent of node-1 answers, where it is missing",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_given_machine_with_a_password_becomes_a_node_that_a_key_lets_in() {
    let world = World::new();
    let goal = world.given();
    let notes = Notes::default();
    let machine = ensure(&world.ports, &goal, &notes).await.unwrap();
    let key = world.hosts.with(ADDRESS, |system| system.host_key().clone());
    let begun: Vec<String> = notes
        .steps()
        .iter()
        .filter_map(|heard| heard.strip_prefix("begin: "))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        begun,
        [
            &format!("pin the host key of node-1: {key}"),
            "let the platform's key in on node-1 as root",
            "install Docker on node-1",
            "make the platform's folders on node-1",
            "tell node-1 how packages are reached",
            "give the agent of node-1 its certificate",
            "bring 2 images to node-1",
            "run the agent on node-1",
            "wait until the agent of node-1 answers",
        ]
    );
    assert_eq!(machine.host_key, Some(key));
    assert_eq!(machine.credential, Credential::KeyFile(KEY.into()));
    let again = Goal { machine, ..goal };
    assert_eq!(left(&world, &again).await, [""; 0]);
    assert_eq!(world.effects(), ["install", "unpack", "load", "run"]);
    let kept = world.hosts.with(ADDRESS, |system| {
        let modes = system.files.iter().filter(|(path, _)| path.starts_with("/etc/avishkar/pki/"));
        let modes: Vec<_> = modes.map(|(path, file)| (path.clone(), file.mode)).collect();
        assert!(!system.files.contains_key("/var/lib/avishkar/arriving.tar"));
        modes
    });
    assert!(kept.iter().all(|(_, mode)| *mode == 0o600) && kept.len() == 3, "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_made_and_becomes_a_node() {
    let (world, goal) = (World::new(), World::local());
    let made = Notes::ending_at(2);
    ensure(&world.ports, &goal, &made).await.unwrap_err();
    world.furnish();
    let known = made.known().unwrap();
    assert!(known.host_key.is_some() && known.gate.is_some(), "{known:?}");
    let goal = Goal { machine: known, ..goal };
    ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    assert_eq!(left(&world, &goal).await, [""; 0]);
}

/// From any number of finished steps: the rest is done, and nothing that was done is done again.
#[tokio::test(start_paused = true)]
async fn whoever_goes_on_after_any_step_does_the_rest_and_nothing_twice() {
    let whole = Notes::default();
    let world = World::new();
    ensure(&world.ports, &world.given(), &whole).await.unwrap();
    let moments = whole.steps().len();
    assert_eq!(moments, 18);
    for moment in 0..moments {
        let world = World::new();
        let goal = world.given();
        let first = Notes::ending_at(moment);
        ensure(&world.ports, &goal, &first).await.unwrap_err();
        let goal = Goal { machine: first.known().unwrap_or_else(|| goal.machine.clone()), ..goal };
        let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
        let goal = Goal { machine, ..goal };
        assert_eq!(left(&world, &goal).await, [""; 0], "after moment {moment}");
        assert_eq!(world.effects(), ["install", "unpack", "load", "run"], "after moment {moment}");
    }
}

/// From any single call to the machine, done or not: it converges, and at most what was under way is done again.
#[tokio::test(start_paused = true)]
async fn whoever_goes_on_after_any_call_gets_to_the_same_node() {
    let mut moment = 0;
    loop {
        let mut cuts = 0;
        for at in [Moment::Before(moment), Moment::After(moment)] {
            let world = World::new();
            let goal = world.given();
            let hosts = Arc::new(CutHosts::new(Arc::clone(&world.ports.hosts), at));
            let cut = Ports { hosts, ..world.ports.clone() };
            let first = Notes::default();
            let ended = ensure(&cut, &goal, &first).await;
            cuts += usize::from(ended.is_err());
            let goal =
                Goal { machine: first.known().unwrap_or_else(|| goal.machine.clone()), ..goal };
            let machine = ensure(&world.ports, &goal, &Notes::default()).await;
            let machine = machine.unwrap_or_else(|err| panic!("after {at:?}: {err}"));
            let goal = Goal { machine, ..goal };
            assert_eq!(left(&world, &goal).await, [""; 0], "after {at:?}");
            let mut once = world.effects();
            once.dedup();
            assert_eq!(once, ["install", "unpack", "load", "run"], "after {at:?}");
        }
        if cuts == 0 {
            break;
        }
        moment += 1;
    }
    assert!(moment > 60, "only {moment} calls were cut");
}

#[tokio::test(start_paused = true)]
async fn another_certificate_or_another_program_is_another_agent() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    let mut trust = world.ports.trust.clone().unwrap();
    trust.authority = Arc::new(FixedAuthority("another"));
    let ports = Ports { trust: Some(trust), ..world.ports.clone() };
    let seen = observe(&ports, &goal).await.unwrap();
    let steps: Vec<String> = plan(&goal, &seen).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "give the agent of node-1 its certificate",
            "run the agent on node-1",
            "wait until the agent of node-1 answers",
        ]
    );
    let newer = Goal { denied_networks: Vec::new(), ..goal };
    assert_eq!(
        left(&world, &newer).await,
        ["run the agent on node-1", "wait until the agent of node-1 answers"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_interrupted_copy_left_is_removed() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    world
        .hosts
        .with(ADDRESS, |system| engine::put(system, "/var/lib/avishkar/arriving.tar", "half"));
    assert_eq!(left(&world, &goal).await, ["remove what an interrupted copy left on node-1"]);
    ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    assert_eq!(left(&world, &goal).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stands_still_is_started_and_not_installed() {
    let world = World::new();
    let goal = world.given();
    world.hosts.with(ADDRESS, |system| engine::put(system, engine::ENGINE, ""));
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    assert_eq!(world.effects(), ["start", "unpack", "load", "run"]);
    let goal = Goal { machine, ..goal };
    let taken = "   0: 0100007F:1D13 00000000:0000 0A 00000000:00000000\n";
    world.hosts.with(ADDRESS, |system| {
        engine::put(system, engine::ENGINE, "");
        engine::put(system, "/proc/net/tcp", taken);
    });
    assert_eq!(
        left(&world, &goal).await,
        [
            "start Docker on node-1",
            "bring 2 images to node-1, where it is missing",
            "run the agent on node-1, where it is missing",
            "wait until the agent of node-1 answers, where it is missing",
        ]
    );
    ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    assert_eq!(world.effects(), ["start", "unpack", "load", "run", "start"]);
}
