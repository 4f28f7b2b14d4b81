//! Everything that may be wrong with a machine: the step, the machine, the cause, and what to do.

use std::time::Duration;

use common::failure::FailureCode;
use common::port::Clock as _;
use common::port::host::Credential;
use common::port::machines::Shape;
use rollout::machine::{Goal, NoJournal, ensure, observe};
use rollout::{Code, Failure};
use testkit::hosts::machine_programs::{
    ENGINE, FREE_DISK, REFUSES_IMAGES, RUNNING, place_agent, put,
};
use testkit::hosts::{Fault, Health, System};
use testkit::machines;
use tokio::time::sleep;

use crate::world::{ADDRESS, World};

/// How making a node of a given machine fails that was changed so.
async fn failing(change: impl FnOnce(&World, &mut Goal)) -> Failure {
    let world = World::new();
    let mut goal = world.given();
    change(&world, &mut goal);
    let failure = ensure(&world.ports, &goal, &NoJournal).await.unwrap_err();
    assert_eq!(failure.machine.as_str(), "node-1");
    assert!(!failure.hint.is_empty(), "{failure:?}");
    failure
}

/// The same, where only the machine itself is another.
async fn failing_on(change: impl FnOnce(&mut System)) -> Failure {
    failing(|world, _| world.hosts.with(ADDRESS, change)).await
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_cannot_be_reached_is_told_and_may_come_back() {
    for health in [Health::Off, Health::Silent, Health::Exhausted] {
        let failure = failing_on(|system| system.health = health).await;
        assert_eq!(failure.code, Code::MachineUnreachable);
        assert!(failure.is_retryable() && !failure.is_quarantine(), "{failure:?}");
        assert_eq!(failure.step, "look at node-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_still_boots_is_waited_for_whether_its_key_is_known_or_not() {
    for is_known in [false, true] {
        let world = World::new();
        let mut goal = world.given();
        let key = world.hosts.with(ADDRESS, |system| system.host_key().clone());
        goal.machine.host_key = is_known.then_some(key);
        world.hosts.with(ADDRESS, |system| system.health = Health::Off);
        let boots = async {
            sleep(Duration::from_secs(3)).await;
            world.hosts.with(ADDRESS, |system| system.health = Health::Answers);
        };
        let (seen, ()) = tokio::join!(observe(&world.ports, &goal), boots);
        seen.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_with_another_host_key_is_left_alone() {
    let failure = failing(|world, goal| {
        goal.machine.host_key = Some(world.hosts.with(ADDRESS, |system| system.host_key().clone()));
        world.hosts.change_host_key(ADDRESS);
    });
    let failure = failure.await;
    assert_eq!(failure.code, Code::HostKeyChanged);
    assert!(failure.is_quarantine() && !failure.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_a_machine_with_another_host_key() {
    let world = World::new();
    let mut goal = world.given();
    goal.machine.host_key = Some(world.hosts.with(ADDRESS, |system| system.host_key().clone()));
    world.hosts.change_host_key(ADDRESS);
    ensure(&world.ports, &goal, &NoJournal).await.unwrap_err();
    assert_eq!(world.hosts.told(ADDRESS), []);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_a_wrong_user_and_a_missing_key_are_refused() {
    let wrong_password =
        failing(|world, _| world.hosts.place_password("/keys/password", "wrong")).await;
    let wrong_user = failing(|_, goal| goal.machine.user = "nobody".to_owned()).await;
    let missing_key = failing(|_, goal| {
        goal.machine.credential = Credential::KeyFile("/keys/missing".into());
    });
    for failure in [wrong_password, wrong_user, missing_key.await] {
        assert_eq!(failure.code, Code::SignInRefused, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_become_root_is_told_how() {
    let failure = failing(|world, goal| {
        goal.machine.user = "ops".to_owned();
        world.hosts.with(ADDRESS, |system| {
            system.add_user("ops");
            system.set_password("ops", "right");
        });
    });
    let failure = failure.await;
    assert_eq!(failure.code, Code::SudoRefused);
    assert!(failure.hint.contains("NOPASSWD"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_room_for_images_gets_none() {
    let failure = failing_on(|system| put(system, FREE_DISK, "1048576")).await;
    assert_eq!(failure.code, Code::InsufficientStorage);
    assert_eq!(
        failure.to_string(),
        "INSUFFICIENT_STORAGE: make node-1 a node: 1 MiB are free where Docker keeps images, and 2048 MiB are needed"
    );
    let full = failing_on(|system| system.disk_full = true).await;
    assert_eq!(full.code, Code::InsufficientStorage);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_too_old_is_not_replaced() {
    for (version, is_too_old) in [("19.03.15", true), ("20.10.24+dfsg1", false), ("28.2.2", false)]
    {
        let world = World::new();
        let goal = world.given();
        world.hosts.with(ADDRESS, |system| put(system, ENGINE, version));
        let code = ensure(&world.ports, &goal, &NoJournal).await.err().map(|failure| failure.code);
        assert_eq!(code, is_too_old.then_some(Code::DockerTooOld), "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_engine_can_be_installed_somebody_has_to() {
    let failure = failing_on(|system| put(system, "/etc/os-release", "ID=fedora\n")).await;
    assert_eq!(failure.code, Code::DockerAbsent);
    assert!(failure.message.contains("fedora"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_an_hour_off_is_not_lived_with() {
    for (offset, code) in [(3600, Some(Code::ClockOff)), (-3600, Some(Code::ClockOff)), (59, None)]
    {
        let world = World::new();
        let goal = world.given();
        let theirs = world.clock.now().as_second() + offset;
        world.hosts.with(ADDRESS, |system| put(system, "/proc/clock", &theirs.to_string()));
        let failure = ensure(&world.ports, &goal, &NoJournal).await.err();
        assert_eq!(failure.map(|failure| failure.code), code, "{offset} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_somebody_else_has_is_not_fought_for() {
    let taken = "   0: 0100007F:1D13 00000000:0000 0A 00000000:00000000\n";
    let failure = failing_on(|system| put(system, "/proc/net/tcp", taken)).await;
    assert_eq!(failure.code, Code::PortTaken);
    let world = World::new();
    let goal = world.given();
    world.hosts.with(ADDRESS, |system| {
        put(system, "/proc/net/tcp", taken);
        put(system, ENGINE, "26.1");
        place_agent(system, "true of-before");
    });
    ensure(&world.ports, &goal, &NoJournal).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_ports_of_the_parts_that_are_to_be_there_are_looked_at_before_anything_is_done() {
    let taken = "   0: 0100007F:0885 00000000:0000 0A 00000000:00000000\n";
    let agents_own = "   1: 00000000:1D13 00000000:0000 0A 00000000:00000000\n";
    let both = failing_on(|system| {
        put(system, "/proc/net/tcp", taken);
        put(system, "/proc/net/tcp6", agents_own);
    });
    assert_eq!(
        both.await.to_string(),
        "PORT_TAKEN: make node-1 a node: somebody else listens on its ports 2181, 7443"
    );
    // What runs there is the platform's, whose agent is away.
    let world = World::new();
    let goal = world.given();
    world.hosts.with(ADDRESS, |system| {
        put(system, "/proc/net/tcp", taken);
        put(system, ENGINE, "26.1");
        put(system, RUNNING, "one\n");
    });
    ensure(&world.ports, &goal, &NoJournal).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_has_no_room_left_says_so_in_its_own_words() {
    let world = World::new();
    let goal = world.given();
    let full = "write /var/lib/docker/tmp/layer.tar: no space left on device";
    world.hosts.with(ADDRESS, |system| put(system, REFUSES_IMAGES, full));
    let failure = ensure(&world.ports, &goal, &NoJournal).await.unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), (Code::InsufficientStorage, full));
    assert_eq!(failure.step, "bring 2 images to node-1");
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_refuses_is_told_with_its_reason() {
    let world = World::new();
    world.machines.set_quota(0);
    let quota = ensure(&world.ports, &World::local(), &NoJournal).await.unwrap_err();
    assert_eq!(quota.code, Code::MachineQuota);
    assert_eq!(quota.step, "make node-1, a machine that is local");
    world.machines.set_health(machines::Health::RefusesCredentials);
    let credentials = ensure(&world.ports, &World::local(), &NoJournal).await.unwrap_err();
    assert_eq!(credentials.code, Code::MachineCredentials);
    world.machines.set_health(machines::Health::Down);
    let down = ensure(&world.ports, &World::local(), &NoJournal).await.unwrap_err();
    assert!(down.code == Code::MachineRefused && down.is_retryable(), "{down:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_nobody_can_make_or_find_is_a_mistake_in_the_description() {
    let mut world = World::new();
    world.ports.backends.clear();
    let unmade = ensure(&world.ports, &World::local(), &NoJournal).await.unwrap_err();
    assert_eq!(unmade.code, Code::DescriptionIncomplete);
    let mut goal = world.given();
    goal.machine.gate = None;
    let lost = observe(&world.ports, &goal).await.unwrap_err();
    assert_eq!((lost.code, goal.machine.shape), (Code::DescriptionIncomplete, Shape::Given));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_lost_may_be_tried_again() {
    let failure = failing_on(|system| system.fail_next([Fault::CutBefore])).await;
    assert_eq!(failure.code, Code::MachineUnreachable);
    assert!(failure.is_retryable());
    let told = failure.told();
    assert_eq!(told.code, FailureCode::NodeUnavailable);
    assert!(told.message.starts_with("MACHINE_UNREACHABLE: look at node-1: "), "{told}");
}
