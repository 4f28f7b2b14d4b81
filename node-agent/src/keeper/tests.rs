//! The keeper on a simulated engine, in paused time.

mod machine;

use std::pin::pin;
use std::sync::atomic::Ordering;

use common::failure::FailureCode;
use common::id::{Epoch, Generation};
use common::port::Containers as _;
use common::port::container::{Container, ContainerSpec};
use common::port::nodes::{Issuer, Probe, Removal};
use common::service::ServiceName;
use testkit::containers::Health;

use self::machine::Machine;
use super::*;

const ISSUER: Issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };

#[tokio::test(start_paused = true)]
async fn a_container_that_ended_is_started_again_at_once_and_then_ever_later() {
    let machine = Machine::new();
    let name = machine.spec().name();
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &machine.spec()).await.unwrap();
            let mut waits = Vec::new();
            for _ in 0..5 {
                machine.engine.exit(&name, 3);
                waits.push(machine.until(Machine::runs).await.as_secs());
            }
            assert_eq!(waits, [0, 1, 2, 4, 8]);
            assert_eq!(machine.engine.starts(&name), 6);
            let seen = agent.probe(&name).await.unwrap();
            assert_eq!(seen, Probe::Exited { code: 3, out_of_memory: false, crash_loop: true });
        })
        .await;
}

#[tokio::test]
async fn one_that_has_ended_is_not_well_though_its_port_is_open_still() {
    let machine = Machine::new();
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host_port = door.local_addr().unwrap().port();
    let spec = ContainerSpec { host_port, ..machine.spec() };
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &spec).await.unwrap();
            assert_eq!(agent.probe(&spec.name()).await.unwrap(), Probe::Healthy);
            machine.engine.exit(&spec.name(), 3);
            let seen = agent.probe(&spec.name()).await.unwrap();
            assert_ne!(seen, Probe::Healthy);
        })
        .await;
}

/// All looks fail for so long, one a second.
async fn is_ill(agent: &Agent, seconds: u32) {
    for _ in 0..seconds {
        for replica in agent.replicas.all().into_iter().filter(Replica::is_running) {
            agent.replicas.watched(&replica, false, agent.now());
            agent.wake.wake(replica.container.name);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn found_well(agent: &Agent) {
    for replica in agent.replicas.all() {
        agent.replicas.looked(&replica, true);
    }
}

#[tokio::test(start_paused = true)]
async fn who_runs_and_is_ill_for_half_a_minute_is_started_again_as_if_it_had_ended() {
    let machine = Machine::new();
    let name = machine.spec().name();
    let starts = || machine.engine.starts(&name);
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &machine.spec()).await.unwrap();
            is_ill(agent, 600).await;
            assert_eq!(starts(), 1, "who deployed it waits for it to start");
            for run in 1..=5 {
                found_well(agent);
                is_ill(agent, 30).await;
                assert_eq!(starts(), run);
                is_ill(agent, 1).await;
                machine.until(|_| starts() == run + 1).await;
            }
            let replica = agent.replicas.all().remove(0);
            assert_eq!((replica.history.restarts(), replica.healthy), (5, None));
            let ended = replica.ended_ill.expect("why it was started again is told");
            assert_eq!(ended.failed_looks, 31);
            let seen = agent.probe(&name).await.unwrap();
            assert_eq!(seen, Probe::Exited { code: 143, out_of_memory: false, crash_loop: true });
            is_ill(agent, 290).await;
            assert_eq!(starts(), 6, "it may take its time to start again");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_cannot_stop_who_is_ill_is_asked_again() {
    let machine = Machine::new();
    let name = machine.spec().name();
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &machine.spec()).await.unwrap();
            found_well(agent);
            machine.engine.set_health(Health::Down);
            is_ill(agent, 60).await;
            machine.engine.set_health(Health::Answers);
            is_ill(agent, 60).await;
            assert_eq!(machine.engine.starts(&name), 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn while_others_are_being_stopped_who_is_ill_waits() {
    let machine = Machine::new();
    machine.engine.place_image(&machine.image);
    machine.engine.ensure_running(&machine.spec(), Epoch(1)).await.unwrap();
    let agent = Agent::open(machine.ports(), machine.config()).unwrap();
    agent.list().await.unwrap();
    found_well(&agent);
    is_ill(&agent, 31).await;
    let ill = agent.replicas.all().remove(0);
    let stops = Semaphore::new(STOPS_AT_ONCE);
    let others = stops.try_acquire_many(2).unwrap();
    mend(&agent, Some(&ill), &stops).await.unwrap();
    assert!(machine.runs());
    drop(others);
    machine.engine.set_health(Health::Silent);
    {
        let mut stopping = pin!(mend(&agent, Some(&ill), &stops));
        assert!(futures::poll!(&mut stopping).is_pending());
        assert_eq!(stops.available_permits(), 1);
    }
    machine.engine.set_health(Health::Answers);
    mend(&agent, Some(&ill), &stops).await.unwrap();
    assert!(!machine.runs());
    assert_eq!(stops.available_permits(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_crashed_leaves_its_containers_alone() {
    let machine = Machine::new();
    machine.with_agent(async |agent| drop(agent.ensure(ISSUER, &machine.spec()).await)).await;
    machine
        .with_agent(async |agent| {
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(machine.engine.starts(&machine.spec().name()), 1);
            assert_eq!(agent.list().await.unwrap().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lost_its_power_runs_what_it_ran() {
    let machine = Machine::new();
    machine.with_agent(async |agent| drop(agent.ensure(ISSUER, &machine.spec()).await)).await;
    machine.engine.reboot();
    machine
        .with_agent(async |_| {
            let took = machine.until(Machine::runs).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_does_not_know_is_reported_and_left_alone() {
    let machine = Machine::new();
    machine.engine.place_image(&machine.image);
    machine.engine.ensure_running(&machine.spec(), Epoch(1)).await.unwrap();
    machine
        .with_agent(async |agent| {
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(machine.runs());
            assert_eq!(agent.list().await.unwrap().len(), 1);
            machine.engine.exit(&machine.spec().name(), 0);
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!machine.runs(), "nobody said that it should run");
            let removal = Removal { name: machine.spec().name(), generation: Generation(1) };
            agent.remove(ISSUER, &removal).await.unwrap();
            assert!(machine.engine.containers().is_empty());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_leader_stays_stale_when_the_agent_was_away() {
    let machine = Machine::new();
    let newer = Issuer { epoch: Epoch(9), ..ISSUER };
    machine.with_agent(async |agent| agent.announce(newer).await.unwrap()).await;
    machine
        .with_agent(async |agent| {
            let refused = agent.ensure(ISSUER, &machine.spec()).await;
            assert!(refused.is_err());
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!machine.runs());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_away_gets_what_it_missed() {
    let machine = Machine::new();
    machine
        .with_agent(async |agent| {
            machine.engine.set_health(Health::Down);
            let unheard = agent.ensure(ISSUER, &machine.spec()).await.unwrap_err();
            assert_eq!(unheard.to_failure().code, FailureCode::NodeUnavailable);
            tokio::time::sleep(Duration::from_mins(1)).await;
            machine.engine.set_health(Health::Answers);
            machine.until(Machine::runs).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_could_not_be_made_is_not_tried_again() {
    let machine = Machine::new();
    machine.engine.occupy_port(20_000);
    machine
        .with_agent(async |agent| {
            let refused = agent.ensure(ISSUER, &machine.spec()).await.unwrap_err();
            assert_eq!(refused.to_failure().code, FailureCode::PortTaken);
            machine.engine.free_port(20_000);
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!machine.runs());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_someone_else_removed_is_made_again() {
    let machine = Machine::new();
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &machine.spec()).await.unwrap();
            machine.engine.ensure_absent(&machine.spec().name()).await.unwrap();
            machine.until(Machine::runs).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_to_run_and_is_not_there_is_listed_until_someone_says_otherwise() {
    let machine = Machine::new();
    let (spec, listed) = (machine.spec(), [Container::not_made(&machine.spec(), Epoch(1))]);
    machine
        .with_agent(async |agent| {
            agent.ensure(ISSUER, &spec).await.unwrap();
            machine.engine.occupy_port(20_000);
            machine.engine.ensure_absent(&spec.name()).await.unwrap();
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(agent.list().await.unwrap(), listed);
            let removal = Removal { name: spec.name(), generation: spec.generation };
            agent.remove(ISSUER, &removal).await.unwrap();
            assert_eq!(agent.list().await.unwrap(), []);
            machine.engine.free_port(20_000);
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!machine.runs());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_built_while_the_firewall_does_not_stand() {
    let machine = Machine::new();
    machine.gate.opens.store(false, Ordering::Relaxed);
    machine
        .with_agent(async |agent| {
            let refused = agent.build("apps/shop", "FROM scratch".into()).await;
            assert_eq!(refused.unwrap_err().to_failure().code, FailureCode::NodeUnavailable);
            machine.gate.opens.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            agent.build("apps/shop", "FROM scratch".into()).await.unwrap();
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_app_runs_before_the_firewall_stands() {
    let machine = Machine::new();
    machine.gate.opens.store(false, Ordering::Relaxed);
    machine
        .with_agent(async |agent| {
            let refused = agent.ensure(ISSUER, &machine.spec()).await.unwrap_err();
            assert_eq!(refused.to_failure().code, FailureCode::NodeUnavailable);
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert!(!machine.runs());
            machine.gate.opens.store(true, Ordering::Relaxed);
            machine.until(Machine::runs).await;
        })
        .await;
}
