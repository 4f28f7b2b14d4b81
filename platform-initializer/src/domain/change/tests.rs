//! A service on two of four machines, and what is asked of it.

use common::digest::{Digest, ImageRef};
use common::id::Generation;
use common::record::platform::{BackedOut, PlatformState, RunningService};
use uuid::Uuid;

use super::super::switch::{Request, switch};
use super::*;

const SERVICE: ServiceName = ServiceName::NodeManager;

fn rules() -> Rules {
    Rules {
        instances: 2,
        edges: Vec::new(),
        ready_within: SignedDuration::from_secs(120),
        stop_within: SignedDuration::from_secs(60),
    }
}

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

fn at_second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn image(text: &str) -> ServiceImage {
    let digest = Digest::of(text.as_bytes());
    ImageRef::new("127.0.0.1:5000/avishkar/platform", digest).unwrap().into()
}

fn upgrade(text: &str) -> Asked {
    Asked::Upgrade { image: Some(image(text)) }
}

fn relocate(from: &str, to: &str) -> Asked {
    Asked::Move { from: name(from), to: name(to) }
}

struct Story {
    platform: PlatformRecord,
    placed: PlacedService,
    /// As all were placed at first.
    services: Vec<PlacedService>,
    machines: Vec<Machine>,
    change: Option<ServiceChange>,
    running: RunningService,
    entry: Entry,
}

impl Story {
    fn new() -> Self {
        let request = Request {
            id: RequestId(Uuid::from_u128(1)),
            goal: PlatformGoal::On,
            at: at_second(0),
            within: SignedDuration::from_secs(900),
        };
        let mut platform = switch(None, request).record;
        platform.state = PlatformState::Running;
        let machine = |number: usize| Machine {
            name: name(&format!("node-{number}")),
            ip: format!("192.0.2.{number}").parse().unwrap(),
            standing: Standing::Ready,
        };
        let placed = PlacedService {
            schema: 1,
            service: SERVICE,
            generation: Generation(1),
            goal: PlatformGoal::On,
            nodes: vec![name("node-1"), name("node-2")],
            image: None,
            instances: None,
        };
        let running = RunningService {
            schema: 1,
            service: SERVICE,
            generation: Generation(1),
            instances: Vec::new(),
            backed_out: None,
        };
        let entry = Entry::Right("192.0.2.1:1".parse().unwrap());
        let machines = (1..=4).map(machine).collect();
        let monitoring = PlacedService {
            service: ServiceName::Monitoring,
            nodes: vec![name("node-3")],
            ..placed.clone()
        };
        let (services, change) = (vec![placed.clone(), monitoring], None);
        let mut story = Story { platform, placed, services, machines, change, running, entry };
        story.all_run();
        story
    }

    /// The lifecycle manager does what is wished.
    fn all_run(&mut self) {
        let instance = |node: &NodeName| RunningInstance {
            part: "node-manager".parse().unwrap(),
            node: node.clone(),
            address: "192.0.2.1:1".parse().unwrap(),
            internal: None,
            image: self.placed.image.clone(),
            state: InstanceState::Ready,
            failure: None,
            since: at_second(0),
        };
        self.running.instances = self.placed.nodes.iter().map(instance).collect();
        self.running.generation = self.placed.generation;
    }

    fn asks(&mut self, asked: Asked) -> Result<(), Failure> {
        let scene = Scene {
            platform: Some(&self.platform),
            placed: Some(&self.placed),
            services: &self.services,
            machines: &self.machines,
            before: self.change.as_ref(),
            rules: &rules(),
            request: RequestId(Uuid::from_u128(2)),
            now: at_second(0),
        };
        let begun = begin(SERVICE, asked, &scene)?;
        self.placed = begun.placed;
        self.change = Some(begun.change);
        Ok(())
    }

    fn code(&mut self, asked: Asked) -> Option<FailureCode> {
        self.asks(asked).err().map(|failure| failure.code)
    }

    fn verdict(&self, seconds: i64) -> Verdict {
        let seen = Seen {
            service: SERVICE,
            is_configured: true,
            has_front_door: false,
            placed: Some(self.placed.clone()),
            running: Some(self.running.clone()),
            entry: self.entry,
            refusal: None,
        };
        judge(self.change.as_ref().unwrap(), &seen, at_second(seconds))
    }

    fn undone(&self) -> PlacedService {
        undone(self.change.as_ref().unwrap(), &self.placed)
    }
}

fn failed(verdict: Verdict) -> Failure {
    let Verdict::Undo(Why::Failed(failure)) = verdict else { panic!("{verdict:?}") };
    failure
}

#[test]
fn an_upgrade_is_done_when_all_run_the_new_version_and_no_sooner() {
    let mut story = Story::new();
    story.asks(upgrade("new")).unwrap();
    assert_eq!(story.placed.generation, Generation(2));
    assert_eq!(story.verdict(1), Verdict::Wait, "nobody has taken it up");
    story.all_run();
    story.running.instances[1].image = None;
    assert_eq!(story.verdict(2), Verdict::Wait, "the other one runs the former version");
    story.all_run();
    story.running.instances[0].state = InstanceState::Silent;
    assert_eq!(story.verdict(3), Verdict::Wait);
    story.all_run();
    assert_eq!(story.verdict(4), Verdict::Done);
}

#[test]
fn a_version_that_was_backed_out_of_is_taken_back_and_only_for_the_wish_that_wanted_it() {
    let mut story = Story::new();
    let failure = Failure::new(FailureCode::HealthTimeout, "it was not ready within 60 s");
    let refused = |generation| {
        let (image, failure, at) = (Some(image("bad")), failure.clone(), at_second(0));
        let generation = Generation(generation);
        Some(BackedOut { image, settings: false, generation, failure, at })
    };
    story.running.backed_out = refused(1);
    story.asks(upgrade("bad")).unwrap();
    assert_eq!(story.verdict(1), Verdict::Wait, "that was an earlier try");
    story.running.backed_out = refused(2);
    let told = failed(story.verdict(2)).to_string();
    let expected = "HEALTH_TIMEOUT: the former version of node-manager runs again: it was not ready within 60 s";
    assert_eq!(told, expected);
    assert_eq!(story.undone().image, None);
}

#[test]
fn what_nobody_finishes_is_given_up_with_the_name_of_the_place() {
    let mut story = Story::new();
    story.asks(upgrade("new")).unwrap();
    story.all_run();
    story.running.instances[1].state = InstanceState::Starting;
    assert_eq!(story.verdict(359), Verdict::Wait);
    let failure = failed(story.verdict(360));
    assert_eq!(failure.code, FailureCode::DeadlineExceeded);
    assert!(failure.message.starts_with("node-manager on node-2 "), "{failure}");
}

#[test]
fn a_move_begins_beside_the_old_one_and_ends_it_when_the_new_one_is_ready_and_registered() {
    let mut story = Story::new();
    story.asks(relocate("node-1", "node-3")).unwrap();
    assert_eq!(story.placed.nodes, ["node-1", "node-2", "node-3"].map(name));
    story.all_run();
    story.entry = Entry::Wrong;
    assert_eq!(story.verdict(1), Verdict::Wait, "it is not registered");
    story.entry = Entry::Right("192.0.2.1:1".parse().unwrap());
    assert_eq!(story.verdict(2), Verdict::Leave);
    story.placed = left(story.change.as_ref().unwrap(), &story.placed);
    assert_eq!(story.placed.nodes, ["node-3", "node-2"].map(name), "in the place of the other");
    let change = story.change.as_mut().unwrap();
    change.stage = ChangeStage::Leaving;
    story.running.instances[0].state = InstanceState::Stopping;
    assert_eq!(story.verdict(3), Verdict::Wait);
    story.all_run();
    assert_eq!(story.verdict(4), Verdict::Done);
}

#[test]
fn a_move_that_cannot_be_made_leaves_everything_as_it_was() {
    let mut story = Story::new();
    story.asks(relocate("node-1", "node-3")).unwrap();
    story.all_run();
    story.running.instances[2].state = InstanceState::Failed;
    story.running.instances[2].failure =
        Some(Failure::new(FailureCode::ImageUnavailable, "its image could not be fetched"));
    let told = failed(story.verdict(1)).to_string();
    let expected = "IMAGE_UNAVAILABLE: node-manager on node-3: its image could not be fetched";
    assert_eq!(told, expected);
    assert_eq!(story.undone().nodes, ["node-1", "node-2"].map(name));
}

#[test]
fn a_stop_of_the_platform_takes_its_place_before_it_is_done_and_not_after() {
    let mut story = Story::new();
    story.asks(relocate("node-1", "node-3")).unwrap();
    story.placed.goal = PlatformGoal::Off;
    assert_eq!(story.verdict(1), Verdict::Undo(Why::Superseded));
    story.change.as_mut().unwrap().stage = ChangeStage::Leaving;
    assert_eq!(story.verdict(1), Verdict::Done);
}

#[test]
fn one_who_changed_his_mind_goes_back_to_what_ran_before_the_first_time() {
    let mut story = Story::new();
    story.placed.image = Some(image("old"));
    story.asks(upgrade("typo")).unwrap();
    story.asks(upgrade("new")).unwrap();
    assert_eq!(story.placed.image, Some(image("new")));
    assert_eq!(story.undone().image, Some(image("old")));
    story.change = None;
    story.asks(relocate("node-1", "node-3")).unwrap();
    story.asks(relocate("node-1", "node-4")).unwrap();
    assert_eq!(story.placed.nodes, ["node-1", "node-2", "node-4"].map(name));
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_wished() {
    let mut story = Story::new();
    for (asked, code) in [
        (relocate("node-3", "node-4"), FailureCode::UnknownInstance),
        (relocate("node-1", "node-2"), FailureCode::NoNodeFits),
        (relocate("node-1", "node-1"), FailureCode::NoNodeFits),
        (relocate("node-1", "node-9"), FailureCode::NodeUnknown),
    ] {
        assert_eq!(story.code(asked.clone()), Some(code), "{asked:?}");
    }
    story.machines[2].standing = Standing::Away;
    assert_eq!(story.code(relocate("node-1", "node-3")), Some(FailureCode::NodeUnavailable));
    story.asks(upgrade("new")).unwrap();
    assert_eq!(story.code(relocate("node-1", "node-4")), Some(FailureCode::ChangeUnderway));
    story.change = None;
    story.platform.state = PlatformState::Changing;
    assert_eq!(story.code(upgrade("new")), Some(FailureCode::ChangeUnderway));
    story.platform.state = PlatformState::Stopped;
    story.placed.goal = PlatformGoal::Off;
    assert_eq!(story.code(upgrade("new")), Some(FailureCode::ChangeUnderway));
    story.placed.goal = PlatformGoal::On;
    story.placed.service = ServiceName::LoadBalancer;
    assert_eq!(story.code(relocate("node-1", "node-3")), Some(FailureCode::NoNodeFits));
}

fn scale(instances: u16) -> Asked {
    Asked::Scale { instances: instances.try_into().unwrap() }
}

fn on(story: &Story) -> Vec<&str> {
    story.placed.nodes.iter().map(NodeName::as_str).collect()
}

#[test]
fn more_instances_go_to_machines_that_carry_least_and_are_done_when_all_are_ready() {
    let mut story = Story::new();
    story.asks(scale(3)).unwrap();
    assert_eq!(on(&story), ["node-1", "node-2", "node-4"], "monitoring is on node-3");
    assert_eq!(story.placed.instances, Some(3.try_into().unwrap()));
    assert_eq!(story.verdict(1), Verdict::Wait, "nobody has taken it up");
    story.all_run();
    story.running.instances[2].state = InstanceState::Starting;
    assert_eq!(story.verdict(1), Verdict::Wait);
    story.running.instances[2].state = InstanceState::Ready;
    story.entry = Entry::Wrong;
    assert_eq!(story.verdict(1), Verdict::Wait);
    story.entry = Entry::Right("192.0.2.1:1".parse().unwrap());
    assert_eq!(story.verdict(1), Verdict::Done);
}

#[test]
fn fewer_instances_leave_machines_that_do_not_answer_first_and_are_done_when_the_others_are_gone() {
    let mut story = Story::new();
    story.machines[0].standing = Standing::Away;
    story.asks(scale(1)).unwrap();
    assert_eq!(on(&story), ["node-2"]);
    let left = story.running.instances.clone();
    story.all_run();
    story.running.instances.push(left[0].clone());
    assert_eq!(story.verdict(1), Verdict::Wait, "it still runs there");
    assert_eq!(story.verdict(600), Verdict::Done, "that machine is away");
    story.all_run();
    assert_eq!(story.verdict(1), Verdict::Done);
}

#[test]
fn a_number_is_done_only_where_all_that_stay_are_ready_and_found() {
    use InstanceState::{Failed, Ready, Silent, Starting, Stopping};
    let (late, right) = (600, Entry::Right("192.0.2.1:1".parse().unwrap()));
    for (wanted, stays, entry, is_done) in [
        (2, Ready, right, true),
        (2, Starting, right, false),
        (2, Silent, right, false),
        (2, Failed, right, false),
        (2, Ready, Entry::Wrong, false),
        (1, Ready, right, true),
        (1, Silent, right, false),
        (1, Failed, right, false),
        (1, Stopping, right, false),
        (1, Ready, Entry::Wrong, false),
    ] {
        let mut story = Story::new();
        story.asks(scale(wanted)).unwrap();
        let removed = story.running.instances.split_off(wanted.into());
        story.all_run();
        // It is on a machine that is away.
        let ends = removed.into_iter().map(|one| RunningInstance { state: Stopping, ..one });
        story.running.instances.extend(ends);
        story.running.instances[0].state = stays;
        story.entry = entry;
        let told = story.verdict(late);
        if is_done {
            assert_eq!(told, Verdict::Done, "{wanted} {stays:?} {entry:?}");
        } else {
            assert_eq!(failed(told).code, FailureCode::DeadlineExceeded, "{wanted} {stays:?}");
            assert_eq!(story.undone().nodes, ["node-1", "node-2"].map(name));
        }
    }
}

#[test]
fn what_is_new_and_cannot_be_started_is_taken_back() {
    let mut story = Story::new();
    let before = story.placed.clone();
    story.asks(scale(4)).unwrap();
    story.all_run();
    story.running.instances[3].state = InstanceState::Failed;
    let failure = failed(story.verdict(1));
    assert_eq!(failure.message, "node-manager on node-3: it cannot be started there");
    let undone = story.undone();
    assert_eq!((undone.nodes, undone.instances), (before.nodes, None));
    story.running.instances[3].state = InstanceState::Starting;
    assert_eq!(failed(story.verdict(600)).code, FailureCode::DeadlineExceeded);
}

#[test]
fn who_wants_another_number_again_begins_from_what_was_before() {
    let mut story = Story::new();
    story.asks(scale(4)).unwrap();
    story.asks(scale(1)).unwrap();
    assert_eq!(on(&story), ["node-1"]);
    assert_eq!(story.undone().nodes, [name("node-1"), name("node-2")]);
    assert_eq!(story.code(upgrade("new")), Some(FailureCode::ChangeUnderway));
}

#[test]
fn a_number_that_machines_cannot_carry_is_refused() {
    let mut story = Story::new();
    story.machines[3].standing = Standing::Away;
    let refused = story.asks(scale(4)).unwrap_err();
    assert_eq!(refused.code, FailureCode::NoNodeFits);
    let why = "4 instances of node-manager need as many machines that answer, and there are 3";
    assert_eq!(refused.message, why);
    story.placed.service = ServiceName::LoadBalancer;
    assert_eq!(story.code(scale(1)), Some(FailureCode::NoNodeFits));
}
