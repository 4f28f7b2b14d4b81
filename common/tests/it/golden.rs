//! One file for every message: what is sent, byte for byte. What changes a file breaks other programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use common::failure::FailureCode;
use common::id::RequestId;
use common::message::{
    BootstrapperCommand, DeploymentCommand, Envelope, Event, LifecycleCommand, LoadBalancerCommand,
    NodeAnswer, NodeChoice, NodeCommand, PlatformOutcome, SchedulerCommand,
};
use common::name::LegacyName;
use common::topic::Topic;
use jiff::civil::date;

use crate::retell;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn id() -> RequestId {
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap()
}

fn shop() -> LegacyName {
    "shop".parse().unwrap()
}

type Case = (&'static str, Envelope);

fn messages() -> Vec<Case> {
    [platform(), deployment(), schedule(), own_verbs()].concat()
}

fn platform() -> Vec<Case> {
    let yes = |details: &str| PlatformOutcome::Yes { details: details.to_owned() };
    let no = |error: &str| PlatformOutcome::No { error: error.to_owned() };
    let command = |command: BootstrapperCommand| command.envelope(Topic::FirstTopic, id());
    let event = |event: Event| event.envelope(Topic::Bootstrapper, id());
    vec![
        ("01-start-platform", command(BootstrapperCommand::Start)),
        ("02-platform-started", event(Event::PlatformStarted(yes("9 services are running")))),
        (
            "02-platform-not-started",
            event(Event::PlatformStarted(no("the machine 192.0.2.20 does not answer"))),
        ),
        ("03-stop-platform", command(BootstrapperCommand::Stop)),
        ("04-platform-stopped", event(Event::PlatformStopped(yes("9 services were stopped")))),
        (
            "04-platform-not-stopped",
            event(Event::PlatformStopped(no("load_balancer does not stop"))),
        ),
    ]
}

fn deployment() -> Vec<Case> {
    let command = |command: DeploymentCommand| command.envelope(Topic::FirstTopic, id());
    let answer = |node: Result<NodeChoice, FailureCode>| {
        let answer = NodeAnswer { instance: shop(), node };
        DeploymentCommand::AnswerNode(answer).envelope(Topic::NodeManager, id())
    };
    let event = |event: Event| event.envelope(Topic::DeploymentManager, id());
    let question = NodeCommand::GiveBestNode { instance: shop() };
    let node = NodeChoice {
        id: "node-1".to_owned(),
        name: "node-1".parse().unwrap(),
        ip: "192.0.2.11".parse().unwrap(),
        os: "Debian GNU/Linux 12".to_owned(),
        port: 20000,
    };
    let endpoint = "192.0.2.10:2000".parse().unwrap();
    let full = "NO_NODE_FITS: no live node has room for one more container".to_owned();
    let unknown = "UNKNOWN_INSTANCE: the instance is not deployed".to_owned();
    vec![
        ("05-deploy-app", command(DeploymentCommand::Deploy { instance: shop() })),
        ("06-give-best-node", question.envelope(Topic::DeploymentManager, id())),
        ("07-ans-node", answer(Ok(node))),
        ("07-ans-node-without-node", answer(Err(FailureCode::NoNodeFits))),
        ("08-deployed", event(Event::Deployed { instance: shop(), endpoint })),
        ("09-not-deployed", event(Event::NotDeployed { instance: shop(), error: full })),
        ("10-stop-app", command(DeploymentCommand::Stop { instance: shop() })),
        ("11-stopped", event(Event::Stopped { instance: shop() })),
        ("12-not-stopped", event(Event::NotStopped { instance: shop(), error: unknown })),
    ]
}

fn schedule() -> Vec<Case> {
    let (start, end) = (date(2026, 11, 21).at(9, 0, 0, 0), date(2026, 11, 21).at(18, 30, 0, 0));
    let command = SchedulerCommand::Schedule { instance: shop(), start, end };
    let event = |event: Event| event.envelope(Topic::Scheduler, id());
    let url = "http://192.0.2.10:2000".to_owned();
    let deployed = Event::ScheduledDeployed { instance: shop(), url };
    vec![
        ("13-schedule-app", command.envelope(Topic::FirstTopic, id())),
        ("14-scheduled", event(Event::Scheduled { instance: shop() })),
        ("15-its-time", event(Event::ItsTime { instance: shop() })),
        ("16-its-end-time", event(Event::ItsEndTime { instance: shop() })),
        ("17-scheduled-deployed", deployed.envelope(Topic::DeploymentManager, id())),
    ]
}

fn own_verbs() -> Vec<Case> {
    let balance = |command: LoadBalancerCommand| command.envelope(Topic::FirstTopic, id());
    let lifecycle = |command: LifecycleCommand, from: Topic| command.envelope(from, id());
    let event = |event: Event| event.envelope(Topic::LoadBalancer, id());
    let alert = |event: Event| event.envelope(Topic::FirstTopic, id());
    let (verb, text) = ("scale app".to_owned(), "shop$3".to_owned());
    let error = "UNKNOWN_INSTANCE: the instance is not deployed".to_owned();
    let done = Event::Done { verb: verb.clone(), text: text.clone() };
    let service = LifecycleCommand::RestartService { service: "node_manager".to_owned() };
    let node = LifecycleCommand::RestartNode { node: "node-1".parse().unwrap() };
    let reason = "no live node has room for one more container".to_owned();
    let json = r#"{"node":"node-1","verdict":"dead"}"#.to_owned();
    let initializer = |command: BootstrapperCommand| command.envelope(Topic::FirstTopic, id());
    let service_name = || "node_manager".parse().unwrap();
    let image = format!("registry.example.org/avishkar/platform@sha256:{}", "0".repeat(64));
    let image = Some(image.parse().unwrap());
    let upgrade = BootstrapperCommand::UpgradeService { service: service_name(), image };
    let back = BootstrapperCommand::UpgradeService { service: service_name(), image: None };
    let (from, to) = ("node-1".parse().unwrap(), "node-2".parse().unwrap());
    let relocate = BootstrapperCommand::MoveService { service: service_name(), from, to };
    let instances = 3.try_into().unwrap();
    let scale = BootstrapperCommand::ScaleService { service: service_name(), instances };
    vec![
        ("18-scale-app", balance(LoadBalancerCommand::Scale { instance: shop(), replicas: 3 })),
        ("19-status-app", balance(LoadBalancerCommand::Status { instance: shop() })),
        ("20-restart-service", lifecycle(service, Topic::FirstTopic)),
        ("21-restart-node", lifecycle(node, Topic::FirstTopic)),
        (
            "22-restart-app",
            lifecycle(LifecycleCommand::RestartApp { instance: shop() }, Topic::FirstTopic),
        ),
        (
            "22-restart-model",
            lifecycle(LifecycleCommand::RestartModel { instance: shop() }, Topic::FirstTopic),
        ),
        ("23-need-node", lifecycle(LifecycleCommand::NeedNode { reason }, Topic::NodeManager)),
        ("24-verdict", lifecycle(LifecycleCommand::Verdict { json }, Topic::NodeManager)),
        ("25-done", event(done)),
        ("26-not-done", event(Event::NotDone { verb, text, error })),
        ("27-alert", alert(Event::Alert { incident: id().0 })),
        ("28-alert-over", alert(Event::AlertOver { incident: id().0 })),
        ("29-upgrade-service", initializer(upgrade)),
        ("29-upgrade-service-to-the-platforms-own", initializer(back)),
        ("30-move-service", initializer(relocate)),
        ("31-scale-service", initializer(scale)),
    ]
}

#[test]
fn every_message_is_written_as_its_file_says() {
    for (name, envelope) in messages() {
        let file = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let written = String::from_utf8(envelope.encode().to_vec()).unwrap();
        assert_eq!(format!("{written}\n"), file, "{name}");
    }
}

#[test]
fn every_file_is_read_as_its_message() {
    for (name, envelope) in messages() {
        let file = fs::read(folder().join(format!("{name}.json"))).unwrap();
        assert_eq!(Envelope::decode(&file, envelope.to_topic), Ok(envelope.clone()), "{name}");
        let retold = retell(envelope.to_topic, &envelope.msg);
        assert_eq!(retold.as_ref(), Ok(&envelope.msg), "{name}");
    }
}

#[test]
fn every_file_belongs_to_a_message() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let names: BTreeSet<String> =
        messages().into_iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, names);
}
