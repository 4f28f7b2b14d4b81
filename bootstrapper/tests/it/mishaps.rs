//! Whatever is wrong with one machine: the others go on, and once it is put right the same platform comes of it.

use bootstrapper::{Novelty, Trouble};
use common::port::Clock as _;
use common::port::host::Credential;
use testkit::ManualClock;
use testkit::hosts::machine_programs::{self as engine, ENGINE, FREE_DISK, put};
use testkit::hosts::{Health, System};

use crate::applying::WHOLE;
use crate::power::Cut;
use crate::world::{Computer, GIVEN, World};

const PASSWORD_FILE: &str = "/ops/node-3.password";

/// What is wrong, and by which code it is told.
type Case = (&'static str, fn(&World, &mut Computer));

fn on(world: &World, change: impl FnOnce(&mut System)) {
    world.hosts.with(GIVEN, change);
}

fn now() -> i64 {
    ManualClock::default().now().as_second()
}

const CASES: [Case; 10] = [
    ("MACHINE_UNREACHABLE", |world, _| on(world, |system| system.health = Health::Off)),
    ("MACHINE_UNREACHABLE", |world, _| on(world, |system| system.health = Health::Silent)),
    ("SIGN_IN_REFUSED", |world, _| world.hosts.place_password(PASSWORD_FILE, "wrong")),
    ("SIGN_IN_REFUSED", |_, computer| "nobody".clone_into(&mut given(computer).user)),
    ("SIGN_IN_REFUSED", |_, computer| {
        given(computer).credential = Credential::KeyFile("/keys/missing".into());
    }),
    ("SUDO_REFUSED", |world, computer| {
        "ops".clone_into(&mut given(computer).user);
        on(world, |system| {
            system.add_user("ops");
            system.set_password("ops", "right");
        });
    }),
    ("INSUFFICIENT_STORAGE", |world, _| on(world, |system| put(system, FREE_DISK, "1048576"))),
    ("DOCKER_TOO_OLD", |world, _| on(world, |system| put(system, ENGINE, "19.03.15"))),
    ("CLOCK_OFF", |world, _| {
        on(world, |system| put(system, "/proc/clock", &(now() + 3600).to_string()));
    }),
    ("PORT_TAKEN", |world, _| {
        let taken = "   0: 0100007F:1D13 00000000:0000 0A 00000000:00000000\n";
        on(world, |system| put(system, "/proc/net/tcp", taken));
    }),
];

/// The machine that nobody makes.
fn given(computer: &mut Computer) -> &mut rollout::platform::PlannedMachine {
    computer.description.platform.machines.last_mut().unwrap()
}

/// As it was before anything was wrong with it.
fn put_right(world: &World) {
    world.hosts.place_password(PASSWORD_FILE, "right");
    on(world, |system| {
        system.health = Health::Answers;
        system.files.remove(ENGINE);
        engine::bare(system, now());
    });
}

async fn failing(computer: &Computer) -> Trouble {
    let mut troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    troubles.remove(0)
}

#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_with_one_machine_the_others_become_nodes_and_it_may_be_put_right() {
    for (code, goes_wrong) in CASES {
        let world = World::new();
        let mut computer = world.computer(1);
        computer.manner.novelty = Novelty::Said;
        goes_wrong(&world, &mut computer);
        let trouble = failing(&computer).await;
        let machine = trouble.machine.as_ref().map(ToString::to_string);
        assert_eq!((trouble.code, machine.as_deref()), (code, Some("node-4")), "{trouble}");
        let parts = [&trouble.step, &trouble.cause, &trouble.hint];
        assert!(parts.iter().all(|part| !part.is_empty()), "{trouble:?}");
        let shown = world.shown();
        let nodes = shown.iter().filter(|line| line.contains("agent=true")).count();
        assert_eq!(nodes, 3, "{trouble}: {shown:?}");
        put_right(&world);
        world.computer_with(1, Cut::Never, computer.book).apply().await.unwrap();
        assert_eq!(world.shown(), WHOLE, "after {trouble}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_too_few_machines_may_be_made_those_that_were_are_known_and_kept() {
    let world = World::new();
    world.machines.set_quota(2);
    let mut computer = world.computer(1);
    computer.manner.novelty = Novelty::Said;
    let trouble = failing(&computer).await;
    assert_eq!(trouble.code, "MACHINE_QUOTA", "{trouble}");
    let missing = trouble.machine.clone().unwrap();
    let made = world.machines.specs().len();
    let shown = world.shown();
    assert!(made == 2 && shown.iter().filter(|line| line.contains("agent=true")).count() == 3);
    assert!(shown.contains(&format!("{missing} agent=false ")), "{shown:?}");
    world.machines.set_quota(3);
    world.computer_with(1, Cut::Never, computer.book).apply().await.unwrap();
    assert_eq!(world.shown(), WHOLE);
}
