//! A machine becomes a node, from wherever it is.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::port::authority::{self, Papers};
use common::port::host::{Credential, HostKey};
use common::port::machines::MachineId;
use common::port::{Authority, Cause, Machines as _};
use common::service::ServiceName;
use rollout::Code;
use rollout::machine::{
    Action, Existence, Goal, Journal, Ports, Step, Trust, locate, observe, plan,
};
use rollout::platform::PlannedMachine;
use testkit::hosts::machine_programs as engine;

use crate::cut::{CutHosts, Moment};
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
    assert_eq!(world.effects(), ["install", "unpack", "load", "load", "run"]);
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
        let effects = ["install", "unpack", "load", "load", "run"];
        assert_eq!(world.effects(), effects, "after moment {moment}");
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

/// The same machines, in the name of another authority.
fn trusting(world: &World, authority: Arc<dyn Authority>) -> Ports {
    let trust = Trust { authority, ..world.ports.trust.clone().unwrap() };
    Ports { trust: Some(trust), ..world.ports.clone() }
}

/// The world's own authority a year later.
#[derive(Debug)]
struct RenewedAuthority(FixedAuthority);

impl Authority for RenewedAuthority {
    fn certificate(&self) -> &str {
        self.0.certificate()
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        FixedAuthority("ca a year later").issue(service, names)
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_authority_is_left_to_its_platform() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    let agent = world.hosts.with(ADDRESS, |system| engine::running_agent(system));
    let ports = trusting(&world, Arc::new(FixedAuthority("another")));
    let refused = ensure(&ports, &goal, &Notes::default()).await.unwrap_err();
    assert_eq!(refused.code, Code::NodeForeign);
    assert_eq!(refused.step, "make node-1 a node");
    assert!(!refused.hint.is_empty() && !refused.is_retryable());
    let kept = world.hosts.with(ADDRESS, |system| {
        (engine::running_agent(system), engine::text(system, "/etc/avishkar/pki/ca.pem"))
    });
    assert_eq!(kept, (agent, "ca".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn another_certificate_or_another_program_is_another_agent() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    let ports = trusting(&world, Arc::new(RenewedAuthority(FixedAuthority("ca"))));
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
    assert_eq!(world.effects(), ["start", "unpack", "load", "load", "run"]);
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
    assert_eq!(world.effects(), ["start", "unpack", "load", "load", "run", "start"]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_cut_off_goes_on_with_the_images_that_are_left() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    let archive = "/var/lib/avishkar/arriving.tar";
    // One image is copied and loaded; the line is lost while the other one is on its way.
    for after in 0.. {
        world.hosts.with(ADDRESS, |system| {
            engine::lose_images(system);
            engine::put(system, engine::EFFECTS, "");
        });
        let hosts = Arc::new(CutHosts::new(Arc::clone(&world.ports.hosts), Moment::Before(after)));
        let cut = Ports { hosts, ..world.ports.clone() };
        let ended = ensure(&cut, &goal, &Notes::default()).await;
        let loads = world.effects().iter().filter(|effect| *effect == "load").count();
        if loads == 1 {
            ended.unwrap_err();
            break;
        }
    }
    world.hosts.with(ADDRESS, |system| engine::put(system, engine::EFFECTS, ""));
    ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    assert_eq!(world.effects(), ["load"]);
    assert!(world.hosts.with(ADDRESS, |system| !system.files.contains_key(archive)));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_takes_the_place_of_a_lost_one_is_not_held_against_its_key() {
    let (world, goal) = (World::new(), World::local());
    let made = Notes::ending_at(2);
    ensure(&world.ports, &goal, &made).await.unwrap_err();
    let lost = Goal { machine: made.known().unwrap(), ..goal };
    world.machines.delete(&lost.machine.name).await.unwrap();
    let seen = observe(&world.ports, &lost).await.unwrap();
    assert_eq!((seen.existence, &seen.machine.host_key), (Existence::Absent, &None));
    // It is made again, and who did it loses his power before he hears of it.
    let again = Notes::default();
    world.machines.fail_next([testkit::machines::Fault::AnswerLost]);
    ensure(&world.ports, &lost, &again).await.unwrap_err();
    world.furnish();
    let known = Goal { machine: again.known().unwrap(), ..lost };
    let machine = ensure(&world.ports, &known, &Notes::default()).await.unwrap();
    assert_eq!(
        machine.host_key,
        Some(world.hosts.with(ADDRESS, |system| system.host_key().clone()))
    );
}

/// A machine that was made, by its key: told by its backend, or pinned as it was shown.
async fn just_made(world: &World, is_vouched_for: bool) -> Goal {
    if !is_vouched_for {
        world.machines.vouch_for_no_key();
    }
    let (goal, notes) = (World::local(), Notes::ending_at(if is_vouched_for { 2 } else { 4 }));
    ensure(&world.ports, &goal, &notes).await.unwrap_err();
    world.furnish();
    Goal { machine: notes.known().unwrap(), ..goal }
}

/// Somebody else makes the machine anew, under the same name.
async fn make_anew(world: &World) -> MachineId {
    let spec = world.machines.specs().remove(0);
    world.machines.delete(&spec.name).await.unwrap();
    let anew = world.machines.create(&spec).await.unwrap();
    world.furnish();
    anew.id.unwrap()
}

fn own_key(world: &World) -> HostKey {
    world.hosts.with(ADDRESS, |system| system.host_key().clone())
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_somebody_else_made_anew_is_entered_under_its_own_key_whoever_tells_it() {
    for is_vouched_for in [true, false] {
        let world = World::new();
        let known = just_made(&world, is_vouched_for).await;
        assert_eq!(known.machine.host_key, Some(own_key(&world)));
        let anew = make_anew(&world).await;
        assert_ne!(known.machine.host_key, Some(own_key(&world)));
        let machine = ensure(&world.ports, &known, &Notes::default()).await.unwrap();
        assert_eq!((machine.host_key.as_ref(), &machine.id), (Some(&own_key(&world)), &Some(anew)));
        // The same machine with another key is none that was made anew.
        world.hosts.change_host_key(ADDRESS);
        let held = Goal { machine, ..known };
        let failure = observe(&world.ports, &held).await.unwrap_err();
        assert_eq!(failure.code, Code::HostKeyChanged);
    }
}

#[tokio::test(start_paused = true)]
async fn whose_a_pinned_key_is_that_was_known_before_is_learned_from_the_machine_that_has_it() {
    for is_vouched_for in [true, false] {
        let world = World::new();
        let mut known = just_made(&world, is_vouched_for).await;
        let id = known.machine.id.take();
        assert!(id.is_some());
        assert_eq!(observe(&world.ports, &known).await.unwrap().machine.id, id);
        make_anew(&world).await;
        let located = locate(&world.ports, &known).await;
        assert!(located.is_err() || located.unwrap().machine.id.is_none(), "it has no such key");
        let failure = observe(&world.ports, &known).await.unwrap_err();
        assert_eq!(failure.code, Code::HostKeyChanged);
    }
}

/// Has the machine made anew by somebody else when a step of it begins.
struct Meddler<'a> {
    world: &'a World,
    at: Action,
    anew: Mutex<Option<MachineId>>,
}

#[async_trait]
impl Journal for Meddler<'_> {
    async fn begins(&self, step: &Step) -> Result<(), Cause> {
        if step.action == self.at && self.anew.lock().unwrap().is_none() {
            let anew = make_anew(self.world).await;
            *self.anew.lock().unwrap() = Some(anew);
        }
        Ok(())
    }

    async fn ends(&self, _: &Step, _: &PlannedMachine) -> Result<(), Cause> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_made_anew_while_it_becomes_a_node_becomes_one_all_the_same() {
    for at in [Action::MakeFolders, Action::Certify, Action::RunAgent] {
        let world = World::new();
        let made = just_made(&world, true).await;
        let meddler = Meddler { world: &world, at, anew: Mutex::default() };
        let known = rollout::machine::ensure(&world.ports, &made, &meddler).await.unwrap();
        let anew = meddler.anew.lock().unwrap().clone();
        assert!(anew.is_some());
        assert_eq!((known.host_key, known.id), (Some(own_key(&world)), anew));
    }
}
