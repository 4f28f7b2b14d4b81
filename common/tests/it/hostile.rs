//! What must not be taken, and what must be taken although it looks odd (`reliability.md` 3.3).

use common::failure::FailureCode;
use common::message::{
    BootstrapperCommand, DeploymentCommand, Envelope, Event, PlatformOutcome, Reject, RejectCode,
    TextError,
};
use common::port::bus::MAX_PAYLOAD;
use common::topic::Topic;

use crate::retell;

const ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn code(payload: impl AsRef<[u8]>) -> Option<RejectCode> {
    let rejected = Envelope::decode(payload.as_ref(), Topic::DeploymentManager).err()?;
    assert!(rejected.detail.chars().count() <= 200, "{rejected}");
    assert!(!rejected.detail.chars().any(char::is_control), "{rejected:?}");
    Some(rejected.code)
}

/// An envelope with the given text put in the place of `"deploy app$shop"`.
fn with_msg(msg: &str) -> String {
    format!(
        r#"{{"to_topic":"DeploymentManager","from_topic":"first_topic","request_id":"{ID}","msg":{msg}}}"#
    )
}

fn with_id(id: &str) -> String {
    with_msg(r#""deploy app$shop""#).replace(&format!("\"{ID}\""), id)
}

/// A further key with arrays nested so deep that the whole is as deep as asked for.
fn of_depth(depth: usize) -> String {
    let inner = depth - 1;
    let more = format!(r#","more":{}{}}}"#, "[".repeat(inner), "]".repeat(inner));
    with_msg(r#""deploy app$shop""#).replace(r#"shop"}"#, &format!(r#"shop"{more}"#))
}

#[test]
fn what_is_no_json_object_is_malformed() {
    let whole = with_msg(r#""deploy app$shop""#);
    assert_eq!(code(&whole), None);
    for length in 0..whole.len() {
        assert_eq!(code(&whole[..length]), Some(RejectCode::Malformed), "{length}");
    }
    for text in ["null", "[]", "1", "\"text\"", "NaN", "{}", "{}{}", "{\"to_topic\":NaN}"] {
        assert_eq!(code(text), Some(RejectCode::Malformed), "{text}");
    }
    assert_eq!(code([0xff, 0xfe, 0x00]), Some(RejectCode::Malformed));
    assert_eq!(code(format!("\u{feff}{whole}")), Some(RejectCode::Malformed));
    assert_eq!(code(format!("{whole} x")), Some(RejectCode::Malformed));
}

#[test]
fn depth_has_a_bound() {
    assert_eq!(code(of_depth(32)), None);
    assert_eq!(code(of_depth(33)), Some(RejectCode::Malformed));
    assert_eq!(code(of_depth(10_000)), Some(RejectCode::Malformed));
    assert_eq!(code("[".repeat(100_000)), Some(RejectCode::Malformed));
    let quoted = format!(r#""\"{}\\""#, "[{".repeat(1000));
    assert_eq!(code(with_msg(&quoted)), None, "what stands in a text is not nested");
}

#[test]
fn size_has_a_bound() {
    let frame = with_msg("\"\"").len();
    let largest = with_msg(&format!("\"{}\"", "x".repeat(MAX_PAYLOAD - frame)));
    assert_eq!((largest.len(), code(&largest)), (MAX_PAYLOAD, None));
    assert_eq!(code(format!("{largest} ")), Some(RejectCode::TooLarge));
}

#[test]
fn numbers_and_other_values_are_no_text() {
    for msg in ["1", "1e999999", "-0.0", &"9".repeat(10_000), "null", "true", "{}", "[]"] {
        assert_eq!(code(with_msg(msg)), Some(RejectCode::Malformed), "{msg:.20}");
    }
}

#[test]
fn a_key_may_not_stand_twice_and_further_keys_are_ignored() {
    let whole = with_msg(r#""deploy app$shop""#);
    for repeated in [r#""msg":"stop app$shop""#, r#""x":1,"x":2"#, r#""\u006dsg":"a""#] {
        let text = whole.replacen('{', &format!("{{{repeated},"), 1);
        assert_eq!(code(&text), Some(RejectCode::Malformed), "{text}");
    }
    let text = whole.replacen('{', r#"{"sent_at":"12:00","retries":3,"#, 1);
    let envelope = Envelope::decode(text.as_bytes(), Topic::DeploymentManager).unwrap();
    assert_eq!(envelope.msg, "deploy app$shop");
}

#[test]
fn the_request_id_is_a_uuid_with_hyphens() {
    let braces = format!("\"{{{ID}}}\"");
    let (plain, urn) = (format!("\"{}\"", ID.replace('-', "")), format!("\"urn:uuid:{ID}\""));
    let long = format!("\"{}\"", "a".repeat(10_000));
    for id in ["null", "7", "\"\"", "\"7\"", "{}", &braces, &plain, &urn, &long, "\"\\u0000\""] {
        assert_eq!(code(with_id(id)), Some(RejectCode::IdInvalid), "{id:.60}");
    }
    let missing = with_id("\"\"").replace(r#""request_id":"","#, "");
    assert_eq!(code(missing), Some(RejectCode::IdInvalid));
    for version in ["1", "4", "5", "7"] {
        let id = format!("\"6ba7b810-9dad-{version}1d1-80b4-00c04fd430c8\"");
        assert_eq!(code(with_id(&id)), None, "{id}");
    }
}

#[test]
fn topics_are_checked() {
    let whole = with_msg(r#""deploy app$shop""#);
    let elsewhere = whole.replace("DeploymentManager", "NodeManager");
    assert_eq!(code(elsewhere), Some(RejectCode::WrongTopic));
    let nowhere = whole.replace("DeploymentManager", "Nowhere");
    assert_eq!(code(nowhere), Some(RejectCode::WrongTopic));
    assert_eq!(code(whole.replace("first_topic", "Nowhere")), Some(RejectCode::Malformed));
    assert_eq!(code(whole.replace("to_topic", "to")), Some(RejectCode::Malformed));
}

#[test]
fn what_is_echoed_is_short_and_harmless() {
    let text = with_id(&format!("\"\\u001b[31m{}\"", "x".repeat(500)));
    let rejected = Envelope::decode(text.as_bytes(), Topic::DeploymentManager).unwrap_err();
    assert_eq!(
        rejected.to_string(),
        format!("MSG_ID_INVALID: request_id \"\\u{{1b}}[31m{}\" is no UUID", "x".repeat(59))
    );
}

#[test]
fn verbs_are_read_whole_and_payloads_exactly() {
    use TextError::UnknownKind;
    for (topic, text) in [
        (Topic::DeploymentManager, ""),
        (Topic::DeploymentManager, "$shop"),
        (Topic::DeploymentManager, "please deploy app$shop"),
        (Topic::DeploymentManager, "deploy apps$shop"),
        (Topic::DeploymentManager, "Deploy app$shop"),
        (Topic::DeploymentManager, "give best node$shop"),
        (Topic::NodeManager, "deploy app$shop"),
        (Topic::FirstTopic, "it was done shop deploy - 192.0.2.10:2000"),
        (Topic::FirstTopic, "its times$shop"),
        (Topic::Bootstrapper, "restart"),
        (Topic::Scheduler, "done schedule app$shop"),
        (Topic::LoadBalancer, "scale$shop$1"),
        (Topic::LifecycleManager, "restart$shop"),
    ] {
        assert_eq!(retell(topic, text), Err(UnknownKind), "{text}");
        assert_eq!(Reject::from(UnknownKind).code, RejectCode::UnknownKind);
    }
}

#[test]
fn known_verbs_with_wrong_payloads_are_malformed() {
    for (topic, text) in [
        (Topic::DeploymentManager, "deploy app"),
        (Topic::DeploymentManager, "deploy app$"),
        (Topic::DeploymentManager, "deploy app$shop$"),
        (Topic::DeploymentManager, "deploy app$shop$192.0.2.1"),
        (Topic::DeploymentManager, "deploy app$sh$op"),
        (Topic::DeploymentManager, "deploy app$ shop"),
        (Topic::DeploymentManager, "deploy app$shop\n"),
        (Topic::DeploymentManager, "deploy app$../../etc"),
        (Topic::DeploymentManager, "deploy app$-rf"),
        (Topic::DeploymentManager, "deploy app$\u{430}pp"),
        (Topic::DeploymentManager, "stop app$shop$"),
        (Topic::DeploymentManager, "stop app$shop$host"),
        (Topic::DeploymentManager, "stop app$shop$192.0.2.1$"),
        (Topic::DeploymentManager, "ans-node$"),
        (Topic::DeploymentManager, "ans-node${}"),
        (Topic::NodeManager, "give best node$a$b"),
        (Topic::FirstTopic, "done shop deploy - 192.0.2.10"),
        (Topic::FirstTopic, "done shop deploy - 192.0.2.10:2000 "),
        (Topic::FirstTopic, "done shop deploy - 192.0.2.10:2000$x"),
        (Topic::FirstTopic, "done stopped$shop$x"),
        (Topic::FirstTopic, "done Stopped$shop"),
        (Topic::FirstTopic, "done schedule deploy$shop"),
        (Topic::FirstTopic, "done schedule deploy$shop$http://192.0.2.10:2000$x"),
        (Topic::FirstTopic, "not done scale app$shop"),
        (Topic::FirstTopic, "App shop is not deployed. Error - x"),
        (Topic::FirstTopic, "App sh op not deployed. Error - x"),
        (Topic::Bootstrapper, "start platform and stop platform"),
        (Topic::Scheduler, "schedule app$shop$2026-11-21T09:00"),
        (Topic::Scheduler, "schedule app$shop$2026-11-21T09:00$2026-11-21T09:00:00"),
        (Topic::Scheduler, "schedule app$shop$2026-11-21T09:00$2026-11-21 18:30"),
        (Topic::Scheduler, "schedule app$shop$2026-02-30T09:00$2026-11-21T18:30"),
        (Topic::Scheduler, "schedule app$shop$2026-11-21T09:00$2026-11-21T18:30$x"),
        (Topic::LoadBalancer, "scale app$shop$+3"),
        (Topic::LoadBalancer, "scale app$shop$4294967296"),
        (Topic::LoadBalancer, "scale app$shop$"),
        (Topic::LifecycleManager, "restart node$Node"),
        (Topic::LifecycleManager, "verdict$[1]"),
        (Topic::LifecycleManager, "verdict${\"a\":"),
    ] {
        let malformed = retell(topic, text).unwrap_err();
        assert!(matches!(malformed, TextError::Malformed(_)), "{text}: {malformed}");
        assert_eq!(Reject::from(malformed).code, RejectCode::Malformed);
    }
}

#[test]
fn names_that_sound_like_verbs_are_names() {
    for text in [
        "done stopped$deploy-x",
        "done stopped deploy - 192.0.2.10:2000",
        "done schedule deploy - 192.0.2.10:2000",
        "done schedule app$deploy",
        "App not not deployed. Error - App not not deployed. Error - x",
        "done scale app$done stopped$x",
        "not done status app$shop Error - it is not done Error - x",
    ] {
        assert_eq!(retell(Topic::FirstTopic, text).as_deref(), Ok(text));
    }
    let event = Event::decode("done schedule deploy$shop$http://192.0.2.10:2000").unwrap();
    assert_eq!(event.kind(), "scheduled-deployed");
}

#[test]
fn what_the_originals_send_is_taken() {
    for (topic, sent, read) in [
        (Topic::Bootstrapper, "please start platform now", "start platform"),
        (Topic::Bootstrapper, "start server", "start platform"),
        (Topic::Bootstrapper, "stop server", "stop platform"),
        (Topic::DeploymentManager, "stop app$shop$192.0.2.11", "stop app$shop"),
        (Topic::DeploymentManager, "deploy app$My_App-1", "deploy app$My_App-1"),
    ] {
        assert_eq!(retell(topic, sent).as_deref(), Ok(read), "{sent}");
    }
    let started = |text: &str| Event::decode(&format!("Bootstrapper start response - {text}"));
    let yes = |details: &str| PlatformOutcome::Yes { details: details.to_owned() };
    let no = |error: &str| PlatformOutcome::No { error: error.to_owned() };
    assert_eq!(started("Success"), Ok(Event::PlatformStarted(yes(""))));
    assert_eq!(started("YES - a - b"), Ok(Event::PlatformStarted(yes("a - b"))));
    assert_eq!(started("NO"), Ok(Event::PlatformStarted(no(""))));
    assert_eq!(started("[Errno 1] - x"), Ok(Event::PlatformStarted(no("[Errno 1] - x"))));
    let stopped = Event::decode("Bootstrapper stop response - Success");
    assert_eq!(stopped, Ok(Event::PlatformStopped(yes(""))));
    assert_eq!(BootstrapperCommand::decode("stop platform"), Ok(BootstrapperCommand::Stop));
    for text in [
        "upgrade service$node_manager",
        "upgrade service$node_manager$avishkar/platform:latest",
        "upgrade service$$platform",
        "upgrade service$x$start platform",
        "move service$node_manager$node-1",
        "move service$node_manager$node-1$node-2$node-3",
        "move service$node_manager$$stop server",
        "scale service$node_manager",
        "scale service$node_manager$0",
        "scale service$node_manager$-1",
        "scale service$node_manager$70000",
        "scale service$node_manager$3$start platform",
    ] {
        let read = BootstrapperCommand::decode(text);
        assert!(matches!(read, Err(TextError::Malformed(_))), "{text}: {read:?}");
    }
}

#[test]
fn the_nodes_answer_is_read_in_every_spelling() {
    let python = "{'node_id': '7', 'node_name': 'node-1', 'node_ip': '192.0.2.11', \
                  'node_os': \"Bob's Linux\", 'port': '20000', 'app_name': 'shop'}";
    let json = r#"{"app_name":"shop","port":20000,"node_os":"Bob's Linux",
                   "node_ip":"192.0.2.11","node_name":"node-1","node_id":7,"score":"41"}"#;
    let ours = "ans-node${'node_id': '7', 'node_name': 'node-1', 'node_ip': '192.0.2.11', \
                'node_os': 'Bob\\u0027s Linux', 'port': 20000, 'app_name': 'shop'}";
    for map in [python, json] {
        let retold = retell(Topic::DeploymentManager, &format!("ans-node${map}"));
        assert_eq!(retold.as_deref(), Ok(ours));
    }
}

#[test]
fn the_nodes_answer_names_a_node_or_an_error() {
    let answer = |id: &str, port: &str, rest: &str| {
        DeploymentCommand::decode(&format!(
            "ans-node${{'node_id': '{id}', 'node_name': 'node-1', 'node_ip': '192.0.2.11', \
             'node_os': 'linux', 'port': {port}, 'app_name': 'shop'{rest}}}"
        ))
    };
    assert!(answer("1", "20000", "").is_ok());
    assert!(answer("1", "20000", ", 'error': ''").is_ok());
    let Ok(DeploymentCommand::AnswerNode(none)) = answer("", "0", ", 'error': 'PORTS_EXHAUSTED'")
    else {
        panic!("an answer without a node is an answer");
    };
    assert_eq!(none.node, Err(FailureCode::PortsExhausted));
    for (id, port, rest) in [
        ("1", "0", ""),
        ("1", "65536", ""),
        ("1", "'80; x'", ""),
        ("", "0", ""),
        ("", "0", ", 'error': 'SOMETHING_ELSE'"),
        ("1", "20000", ", 'error': 'NO_NODE_FITS'"),
        ("1", "20000", ", 'port': 20001"),
    ] {
        assert!(answer(id, port, rest).is_err(), "{id} {port} {rest}");
    }
}
