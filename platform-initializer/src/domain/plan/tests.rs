//! The steps of a start and of a stop, as they would be logged.

use common::id::{Generation, RequestId};
use common::record::platform::{
    InstanceState, PlacedService, PlatformRecord, PlatformStage, RunningInstance, RunningService,
};
use uuid::Uuid;

use super::super::placement::{Machine, Standing};
use super::super::switch::{Request, switch, undo};
use super::*;

const SERVICES: [ServiceName; 3] =
    [ServiceName::NodeManager, ServiceName::LoadBalancer, ServiceName::Monitoring];

fn rules() -> Rules {
    Rules {
        instances: 2,
        edges: vec!["node-2".to_owned()],
        ready_within: SignedDuration::from_secs(120),
        stop_within: SignedDuration::from_secs(60),
    }
}

fn asked(goal: PlatformGoal) -> PlatformRecord {
    let id = RequestId(Uuid::from_u128(1));
    let (at, within) = (Timestamp::UNIX_EPOCH, SignedDuration::from_secs(900));
    switch(None, Request { id, goal, at, within }).record
}

fn observed(goal: PlatformGoal) -> Observed {
    let seen = |service| Seen {
        service,
        is_configured: true,
        has_front_door: false,
        placed: None,
        running: None,
        entry: Entry::Absent,
        refusal: None,
    };
    let machine = |number: usize| Machine {
        name: format!("node-{number}").parse().unwrap(),
        ip: format!("192.0.2.{number}").parse().unwrap(),
        standing: Standing::Ready,
    };
    Observed {
        record: asked(goal),
        services: SERVICES.map(seen).into(),
        machines: (1..=3).map(machine).collect(),
        is_lifecycle_ready: true,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn seen(observed: &mut Observed, service: ServiceName) -> &mut Seen {
    observed.services.iter_mut().find(|seen| seen.service == service).unwrap()
}

/// Does a step, and what others do after it.
fn done(observed: &mut Observed, step: &Step) {
    match step {
        Step::Wish { service, goal, nodes } => {
            observed.record.stage =
                Some(PlatformStage { service: *service, since: Timestamp::UNIX_EPOCH });
            if *goal == PlatformGoal::On && !observed.record.begun.contains(service) {
                observed.record.begun.push(*service);
            }
            let one = seen(observed, *service);
            let generation = one.placed.as_ref().map_or(Generation(1), |one| one.generation.next());
            let (service, goal, nodes) = (*service, *goal, nodes.clone());
            let image = None;
            let placed = PlacedService {
                schema: 1,
                service,
                generation,
                goal,
                nodes,
                image,
                instances: None,
            };
            one.running = Some(running(&placed, InstanceState::Ready));
            one.placed = Some(placed);
        }
        Step::Enter(service) => {
            observed.record.stage =
                Some(PlatformStage { service: *service, since: Timestamp::UNIX_EPOCH });
        }
        Step::Register(service) => {
            seen(observed, *service).entry = Entry::Right("192.0.2.1:1".parse().unwrap());
        }
        Step::Deregister(service) => seen(observed, *service).entry = Entry::Absent,
        Step::GiveUp(_) | Step::Conclude | Step::Wait(_) | Step::Rest => {}
    }
}

fn running(placed: &PlacedService, state: InstanceState) -> RunningService {
    let instance = |node: &NodeName| RunningInstance {
        part: placed.service.as_str().parse().unwrap(),
        node: node.clone(),
        address: "192.0.2.1:1".parse().unwrap(),
        internal: None,
        image: None,
        state,
        failure: None,
        since: Timestamp::UNIX_EPOCH,
    };
    let instances = match placed.goal {
        PlatformGoal::On => placed.nodes.iter().map(instance).collect(),
        PlatformGoal::Off => Vec::new(),
    };
    let (service, generation) = (placed.service, placed.generation);
    RunningService { schema: 1, service, generation, instances, backed_out: None }
}

/// All steps up to the end.
fn steps(observed: &mut Observed) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..100 {
        let step = next(observed, &rules());
        told.push(step.to_string());
        if matches!(step, Step::Conclude | Step::GiveUp(_) | Step::Wait(_) | Step::Rest) {
            return told;
        }
        done(observed, &step);
    }
    panic!("it does not end: {told:?}");
}

#[test]
fn a_start_and_a_stop_are_each_others_reverse() {
    let mut platform = observed(PlatformGoal::On);
    let expected = [
        "run node-manager on node-1, node-2",
        "register node-manager",
        "run load-balancer on node-2",
        "register load-balancer",
        "run monitoring on node-3, node-1",
        "register monitoring",
        "conclude",
    ];
    assert_eq!(steps(&mut platform), expected);
    platform.record = asked(PlatformGoal::Off);
    let expected = [
        "turn to monitoring",
        "deregister monitoring",
        "end monitoring",
        "turn to load-balancer",
        "deregister load-balancer",
        "end load-balancer",
        "turn to node-manager",
        "deregister node-manager",
        "end node-manager",
        "conclude",
    ];
    assert_eq!(steps(&mut platform), expected);
}

#[test]
fn a_failed_start_takes_back_what_it_began_and_nothing_else() {
    let mut platform = observed(PlatformGoal::On);
    steps(&mut platform);
    platform.record.begun = vec![ServiceName::LoadBalancer];
    let failure = Failure::new(common::failure::FailureCode::HealthTimeout, "it is late");
    platform.record = undo(&platform.record, failure, Timestamp::UNIX_EPOCH);
    let expected =
        ["turn to load-balancer", "deregister load-balancer", "end load-balancer", "conclude"];
    assert_eq!(steps(&mut platform), expected);
}

#[test]
fn what_takes_too_long_is_given_up_with_its_name_place_and_reason() {
    let mut platform = observed(PlatformGoal::On);
    let step = next(&platform, &rules());
    done(&mut platform, &step);
    let node_manager = seen(&mut platform, ServiceName::NodeManager);
    let placed = node_manager.placed.clone().unwrap();
    node_manager.running = Some(running(&placed, InstanceState::Starting));
    assert!(matches!(next(&platform, &rules()), Step::Wait(_)));
    platform.now = Timestamp::from_second(120).unwrap();
    assert_eq!(
        next(&platform, &rules()).to_string(),
        "give up: HEALTH_TIMEOUT: node-manager on node-1 was not ready within 120 s: it is still starting"
    );
}

#[test]
fn the_whole_start_has_a_bound() {
    let mut platform = observed(PlatformGoal::On);
    let step = next(&platform, &rules());
    done(&mut platform, &step);
    seen(&mut platform, ServiceName::NodeManager).running = None;
    platform.now = platform.record.deadline;
    platform.record.stage =
        Some(PlatformStage { service: ServiceName::NodeManager, since: platform.now });
    let step = next(&platform, &rules()).to_string();
    assert!(step.starts_with("give up: DEADLINE_EXCEEDED"), "{step}");
}

#[test]
fn at_rest_only_what_differs_is_mended() {
    let mut platform = observed(PlatformGoal::On);
    steps(&mut platform);
    platform.record.state = PlatformState::Running;
    assert_eq!(steps(&mut platform), ["rest"]);
    seen(&mut platform, ServiceName::NodeManager).entry = Entry::Wrong;
    assert_eq!(steps(&mut platform), ["register node-manager", "rest"]);
    platform.machines.remove(0);
    assert_eq!(
        steps(&mut platform),
        ["run node-manager on node-2, node-3", "run monitoring on node-3, node-2", "rest"]
    );
    platform.machines.clear();
    assert_eq!(steps(&mut platform), ["rest"], "machines that are not known yet are not lost");
}

#[test]
fn an_instance_that_was_made_elsewhere_counts() {
    let mut platform = observed(PlatformGoal::On);
    steps(&mut platform);
    let node_manager = seen(&mut platform, ServiceName::NodeManager);
    let mut running = node_manager.running.clone().unwrap();
    running.instances[0].node = "node-3".parse().unwrap();
    node_manager.running = Some(running.clone());
    assert_eq!(node_manager.ready(), 2);
    let nodes: Vec<&str> =
        node_manager.instances().into_iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, ["node-3", "node-2"]);
    let mut silent = running.instances[0].clone();
    silent.node = "node-1".parse().unwrap();
    silent.state = InstanceState::Silent;
    running.instances.insert(0, silent);
    node_manager.running = Some(running);
    assert_eq!((node_manager.ready(), node_manager.instances().len()), (2, 3));
}

#[test]
fn a_pair_of_edges_starts_with_the_one_whose_machine_lives() {
    let pair = || Rules { edges: vec!["node-3".to_owned(), "node-2".to_owned()], ..rules() };
    for dead in [Some(Standing::Away), Some(Standing::Lost), None] {
        let mut platform = observed(PlatformGoal::On);
        match dead {
            Some(standing) => platform.machines[2].standing = standing,
            None => platform.machines.truncate(2),
        }
        for _ in 0..100 {
            let step = next(&platform, &pair());
            if step == Step::Conclude {
                break;
            }
            assert!(!matches!(step, Step::Wait(_) | Step::GiveUp(_)), "{dead:?}: {step}");
            done(&mut platform, &step);
            let beside = seen(&mut platform, ServiceName::LoadBalancer).running.as_mut();
            for instance in beside.into_iter().flat_map(|running| &mut running.instances) {
                if instance.node.as_str() == "node-3" {
                    instance.state = InstanceState::Starting;
                }
            }
        }
        assert_eq!(next(&platform, &pair()), Step::Conclude, "{dead:?}");
    }
}

#[test]
fn a_load_balancer_beside_an_edge_whose_machine_lives_is_waited_for() {
    let rules = Rules { edges: vec!["node-3".to_owned(), "node-2".to_owned()], ..rules() };
    let mut platform = observed(PlatformGoal::On);
    while seen(&mut platform, ServiceName::LoadBalancer).placed.is_none() {
        let step = next(&platform, &rules);
        done(&mut platform, &step);
    }
    let running = seen(&mut platform, ServiceName::LoadBalancer).running.as_mut().unwrap();
    running.instances[0].state = InstanceState::Starting;
    assert!(matches!(next(&platform, &rules), Step::Wait(_)));
    let running = seen(&mut platform, ServiceName::LoadBalancer).running.as_mut().unwrap();
    running.instances[1].state = InstanceState::Starting;
    platform.machines[2].standing = Standing::Lost;
    assert!(matches!(next(&platform, &rules), Step::Wait(_)), "no other one is ready");
}

#[test]
fn an_edge_whose_machine_is_back_has_its_load_balancer_again() {
    let rules = Rules { edges: vec!["node-3".to_owned(), "node-2".to_owned()], ..rules() };
    let mut platform = observed(PlatformGoal::On);
    let dead = platform.machines.pop().unwrap();
    for _ in 0..100 {
        let step = next(&platform, &rules);
        done(&mut platform, &step);
    }
    assert_eq!(next(&platform, &rules), Step::Conclude);
    platform.record.state = PlatformState::Running;
    assert_eq!(next(&platform, &rules), Step::Rest);
    platform.machines.push(dead);
    assert_eq!(next(&platform, &rules).to_string(), "run load-balancer on node-3, node-2");
}
