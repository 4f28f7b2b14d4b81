//! What is read of answers, read of those that Azure publishes as examples. Which these are stands in `testkit`, in
//! `src/azure/examples.json`.

use std::collections::BTreeMap;

use common::port::machines::{Error, Power};
use serde_json::{Value, json};
use testkit::azure::{defined_fields, example_answer, examples};

use super::body::{has_rules, is_ours, made_as, made_for};
use super::failure::Refusal;
use super::found::{Making, inside, making, outside, power};
use super::settings::{AzureSettings, Endpoints, Network, SignIn};

/// A machine's answer with the view of it, which is published apart.
fn computer() -> Value {
    let mut computer = example_answer("VirtualMachine_Get");
    computer["properties"]["instanceView"] = example_answer("VirtualMachine_Get_InstanceView");
    computer
}

#[test]
fn how_a_machine_is_made_and_runs() {
    assert_eq!((making(&computer()), power(&computer())), (Making::Done, Power::Running));
    let made = example_answer("VirtualMachine_Create_WithSshAuthentication");
    assert_eq!((making(&made), power(&made)), (Making::UnderWay, Power::Changing));
}

#[test]
fn every_answer_that_a_request_is_waited_for_by_says_how_far_it_is() {
    let mut seen = 0;
    for example in examples() {
        if example["gives"]["properties"].is_object() {
            assert!(matches!(making(&example["gives"]), Making::Done | Making::UnderWay));
            let state = example["gives"].pointer("/properties/provisioningState");
            assert!(state.is_some_and(Value::is_string), "{example}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn the_addresses_of_a_machine() {
    let interface = example_answer("NetworkInterfaceGet");
    assert_eq!(inside(&interface), Some([172, 20, 2, 4].into()));
    let listed = example_answer("PublicIpAddressList");
    assert_eq!(outside(&listed["value"][0]), Some([40, 85, 154, 247].into()));
    assert_eq!(outside(&example_answer("PublicIpAddressGet")), None, "it has none yet");
}

#[test]
fn rules_that_are_there_are_those_that_were_asked_for() {
    let asked = |name: &str| {
        let found = examples().into_iter().find(|example| example["example"] == name);
        found.unwrap()["asks"].take()
    };
    let found = example_answer("NetworkSecurityGroupGet");
    let mut wanted = asked("NetworkSecurityGroupCreateWithRule");
    assert!(has_rules(&found, &wanted));
    wanted["properties"]["securityRules"][0]["properties"]["priority"] = 131.into();
    assert!(!has_rules(&found, &wanted));
}

#[test]
fn tags_say_whose_a_machine_is() {
    let settings = AzureSettings {
        endpoints: Endpoints::default(),
        subscription: "00000000-0000-0000-0000-000000000000".to_owned(),
        resource_group: "fleet".to_owned(),
        location: "westeurope".to_owned(),
        network: Network::named("fleet", "machines"),
        platform: "fleet-1".to_owned(),
        user: "ops".to_owned(),
        sign_in: SignIn::Public,
        operators: Vec::new(),
        tags: BTreeMap::new(),
        pace: AzureSettings::PACE,
    };
    let mut computer = computer();
    assert!(!is_ours(&computer, &settings));
    assert_eq!((made_for(&computer), made_as(&computer)), (None, None));
    // Azure may give the name of a tag in another case of letters.
    for (name, value) in [("Of", "fleet-1"), ("Name", "node-1"), ("Spec", "x")] {
        computer["tags"][format!("Avishkar.Machine.{name}")] = value.into();
    }
    assert!(is_ours(&computer, &settings));
    assert_eq!(made_for(&computer), Some("node-1".parse().unwrap()));
    assert_eq!(made_as(&computer), Some("x".to_owned()));
}

/// All fields that a refusal is defined with.
#[test]
fn a_refusal_is_read_whatever_else_it_says() {
    let mut body = json!({"error": {}});
    for field in defined_fields("ErrorResponse") {
        let (_, name) = field.split_once('.').unwrap();
        body["error"][name] = match name {
            "details" => json!([{"code": "Other", "message": "of something in it"}]),
            "additionalInfo" => json!([{"type": "x", "info": {"code": "Another"}}]),
            "code" => "QuotaExceeded".into(),
            _ => name.into(),
        };
    }
    let ended = json!({"status": "Failed", "error": body["error"]});
    for (status, body) in [(409, body), (0, ended)] {
        let refusal = Refusal::read(status, &body);
        assert_eq!(refusal.code, "QuotaExceeded");
        let told = refusal.fault().of(&"node-1".parse().unwrap());
        let Error::Quota { what, .. } = told else { panic!("{told}") };
        assert_eq!(what, "QuotaExceeded: message");
    }
}
