//! Whatever is written is read back, and nothing that is read makes the reader fall.

use std::net::{IpAddr, SocketAddr};

use common::failure::FailureCode;
use common::id::RequestId;
use common::message::{
    DeploymentCommand, Envelope, Event, LifecycleCommand, LoadBalancerCommand, NodeAnswer,
    NodeChoice, NodeCommand, PlatformOutcome, SchedulerCommand,
};
use common::name::{LegacyName, NodeName};
use common::topic::Topic;
use jiff::civil::{DateTime, date};
use proptest::prelude::*;
use uuid::Uuid;

use crate::retell;

fn instance() -> impl Strategy<Value = LegacyName> {
    "[A-Za-z][A-Za-z0-9_-]{0,79}".prop_map(|text| text.parse().unwrap())
}

fn node() -> impl Strategy<Value = NodeName> {
    "[a-z]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

/// Free text, with everything that means something somewhere.
fn free() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![any::<char>().prop_map(String::from), "[$'\"\\\\{}:, \n-]{1,3}"];
    prop::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
}

fn time() -> impl Strategy<Value = DateTime> {
    (1970..2100_i16, 1..=12_i8, 1..=28_i8, 0..24_i8, 0..60_i8)
        .prop_map(|(year, month, day, hour, minute)| date(year, month, day).at(hour, minute, 0, 0))
}

fn answer() -> impl Strategy<Value = NodeAnswer> {
    let choice = ("7|.{1,20}", node(), any::<IpAddr>(), free(), 1..=u16::MAX)
        .prop_map(|(id, name, ip, os, port)| Ok(NodeChoice { id, name, ip, os, port }));
    let failure = prop::sample::select(FailureCode::ALL).prop_map(Err);
    (instance(), prop_oneof![choice, failure])
        .prop_map(|(instance, node)| NodeAnswer { instance, node })
}

fn deployment() -> impl Strategy<Value = DeploymentCommand> {
    prop_oneof![
        instance().prop_map(|instance| DeploymentCommand::Deploy { instance }),
        answer().prop_map(DeploymentCommand::AnswerNode),
        instance().prop_map(|instance| DeploymentCommand::Stop { instance }),
    ]
}

fn outcome() -> impl Strategy<Value = PlatformOutcome> {
    prop_oneof![
        free().prop_map(|details| PlatformOutcome::Yes { details }),
        free().prop_map(|error| PlatformOutcome::No { error }),
    ]
}

fn verb() -> impl Strategy<Value = String> {
    prop::sample::select(&["scale app", "status app", "restart node", "need node", "verdict"][..])
        .prop_map(str::to_owned)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        outcome().prop_map(Event::PlatformStarted),
        outcome().prop_map(Event::PlatformStopped),
        (instance(), any::<SocketAddr>()).prop_map(|(instance, endpoint)| Event::Deployed {
            instance,
            endpoint: plain(endpoint)
        }),
        (instance(), free()).prop_map(|(instance, error)| Event::NotDeployed { instance, error }),
        (instance(), free()).prop_map(|(instance, error)| Event::NotStopped { instance, error }),
        instance().prop_map(|instance| Event::Stopped { instance }),
        instance().prop_map(|instance| Event::Scheduled { instance }),
        instance().prop_map(|instance| Event::ItsTime { instance }),
        instance().prop_map(|instance| Event::ItsEndTime { instance }),
        (instance(), "http://[a-z0-9.:/]{1,30}")
            .prop_map(|(instance, url)| Event::ScheduledDeployed { instance, url }),
        (verb(), free()).prop_map(|(verb, text)| Event::Done { verb, text }),
        (verb(), free(), free()).prop_map(|(verb, text, error)| Event::NotDone {
            verb,
            text,
            error
        }),
        any::<u128>().prop_map(|id| Event::Alert { incident: Uuid::from_u128(id) }),
        any::<u128>().prop_map(|id| Event::AlertOver { incident: Uuid::from_u128(id) }),
    ]
}

/// Flow labels and scopes mean nothing to others.
fn plain(endpoint: SocketAddr) -> SocketAddr {
    SocketAddr::new(endpoint.ip(), endpoint.port())
}

fn lifecycle() -> impl Strategy<Value = LifecycleCommand> {
    prop_oneof![
        instance().prop_map(|name| LifecycleCommand::RestartService { service: name.to_string() }),
        node().prop_map(|node| LifecycleCommand::RestartNode { node }),
        instance().prop_map(|instance| LifecycleCommand::RestartApp { instance }),
        instance().prop_map(|instance| LifecycleCommand::RestartModel { instance }),
        free().prop_map(|reason| LifecycleCommand::NeedNode { reason }),
        free().prop_map(|text| LifecycleCommand::Verdict {
            json: serde_json::json!({ "why": text }).to_string()
        }),
    ]
}

/// Text that is nearly a message.
fn nearly() -> impl Strategy<Value = String> {
    let starts = prop::sample::select(
        &[
            "deploy app",
            "ans-node",
            "stop app",
            "give best node",
            "done ",
            "done stopped",
            "done schedule app",
            "done schedule deploy",
            "not done scale app",
            "its time",
            "App ",
            "Bootstrapper start response - ",
            "schedule app",
            "scale app",
            "verdict",
            "need node",
            "upgrade service",
            "move service",
            "scale service",
            "start platform",
            "stop server",
        ][..],
    );
    let ends =
        prop_oneof![free(), "[$a-c']{0,9}", "a (not )?deployed. Error - .*", "a deploy - .*"];
    (starts, "[$]?", ends).prop_map(|(start, sign, end)| format!("{start}{sign}{end}"))
}

proptest! {
    #[test]
    fn envelopes(msg in free(), id in any::<u128>(), to in 0..7_usize, from in 0..7_usize) {
        let envelope = Envelope {
            to_topic: Topic::ALL[to],
            from_topic: Topic::ALL[from],
            request_id: RequestId(Uuid::from_u128(id)),
            msg,
        };
        prop_assert_eq!(Envelope::decode(&envelope.encode(), envelope.to_topic), Ok(envelope));
    }

    #[test]
    fn deployment_commands(command in deployment()) {
        prop_assert_eq!(DeploymentCommand::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn answers_survive_the_replacement_of_quotes(answer in answer()) {
        let json = answer.encode().replace('\'', "\"");
        let map: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&map["app_name"], answer.instance.as_str());
        match answer.node {
            Ok(node) => {
                prop_assert_eq!(&map["node_os"], &node.os);
                prop_assert_eq!(&map["port"], node.port);
            }
            Err(code) => prop_assert_eq!(&map["error"], code.as_str()),
        }
    }

    #[test]
    fn node_commands(instance in instance()) {
        let command = NodeCommand::GiveBestNode { instance };
        prop_assert_eq!(NodeCommand::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn events(event in event()) {
        if let Event::NotDone { text, .. } = &event {
            prop_assume!(!text.contains(" Error -"));
        }
        prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
    }

    #[test]
    fn scheduler_commands(instance in instance(), start in time(), end in time()) {
        let command = SchedulerCommand::Schedule { instance, start, end };
        prop_assert_eq!(SchedulerCommand::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn load_balancer_commands(instance in instance(), replicas in any::<u32>()) {
        for command in [
            LoadBalancerCommand::Scale { instance: instance.clone(), replicas },
            LoadBalancerCommand::Status { instance },
        ] {
            prop_assert_eq!(LoadBalancerCommand::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn lifecycle_commands(command in lifecycle()) {
        prop_assert_eq!(LifecycleCommand::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn any_bytes_are_an_envelope_or_a_reason(payload: Vec<u8>) {
        prop_assert!(Envelope::decode(&payload, Topic::FirstTopic).is_err());
    }

    #[test]
    fn what_is_read_is_read_the_same_again(text in prop_oneof![nearly(), free()]) {
        for topic in Topic::ALL {
            if let Ok(retold) = retell(topic, &text) {
                prop_assert_eq!(retell(topic, &retold), Ok(retold));
            }
        }
    }
}
