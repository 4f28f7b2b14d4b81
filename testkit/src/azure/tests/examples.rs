//! What the stand-in answers, compared with the examples that Azure publishes. Which these are, of which operation and
//! which version of the interface, stands in `../examples.json` (resources 2021-04-01; network 2024-05-01, and of it
//! `VirtualNetworkCreateSubnet`, `SubnetCreate` and two removals 2024-03-01; compute 2024-07-01, and of it a start and a
//! removal 2024-03-01).

use std::collections::{BTreeMap, BTreeSet};

use super::super::examples::{defined_fields, examples, group_of};
use super::before::made_before;
use super::*;

/// What is read of answers by who asks Azure for machines: nothing of it is left out.
const READ: [&str; 9] = [
    "properties.ipAddress",
    "properties.ipConfigurations[].properties.privateIPAddress",
    "properties.provisioningState",
    "properties.securityRules",
    "properties.instanceView.statuses[].code",
    "statuses[].code",
    "tags.*",
    "value[].id",
    "value[].properties.ipAddress",
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// The paths of all values that are not made of others, each with the kinds and the values that it has.
type Leaves = BTreeMap<String, (BTreeSet<&'static str>, Vec<Value>)>;

fn leaves(value: &Value, path: &str, found: &mut Leaves) {
    let kind = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if path == "tags" { "*" } else { name };
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, &format!("{path}{dot}{name}"), found);
            }
            return;
        }
        Value::Array(entries) => {
            for entry in entries {
                leaves(entry, &format!("{path}[]"), found);
            }
            return;
        }
        Value::Null => return,
        Value::Bool(_) => "a switch",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
    };
    let (kinds, values) = found.entry(path.to_owned()).or_default();
    kinds.insert(kind);
    values.push(value.clone());
}

/// Whether a path is this one, or within it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What differs between an example's answer and ours.
fn differences(example: &Value, ours: &Value) -> Vec<String> {
    let (mut published, mut given) = (Leaves::new(), Leaves::new());
    leaves(&example["gives"], "", &mut published);
    leaves(ours, "", &mut given);
    let left_out = texts(&example["left_out"]);
    let mut all = Vec::new();
    for (path, (kinds, _)) in &published {
        let is_left_out = left_out.iter().any(|whole| is_within(path, whole));
        match given.get(path) {
            Some(_) if is_left_out => all.push(format!("{path} is not left out")),
            None if !is_left_out => all.push(format!("{path} is missing")),
            Some((ours, _)) if ours != kinds => all.push(format!("{path} is {ours:?}")),
            Some(_) | None => {}
        }
    }
    for whole in left_out {
        if !published.keys().any(|path| is_within(path, whole)) {
            all.push(format!("{whole} is left out of nothing"));
        }
        if READ.iter().any(|read| is_within(read, whole) || is_within(whole, read)) {
            all.push(format!("{whole} is left out, and read"));
        }
    }
    for path in texts(&example["same"]) {
        let values =
            |of: &Leaves| of.get(path).map(|(_, values)| values.clone()).unwrap_or_default();
        let (theirs, ours) = (values(&published), values(&given));
        if theirs.is_empty() || theirs != ours {
            all.push(format!("{path} is {ours:?} instead of {theirs:?}"));
        }
    }
    all
}

fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Answer {
    let named = Kind::named(path.rsplit('/').nth(1).unwrap());
    let listed = Kind::named(path.rsplit('/').next().unwrap());
    // A verb comes after a virtual machine's name.
    let kind = named.or(listed).unwrap_or(Kind::Computer);
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: format!("api-version={}&$expand=instanceView", published::version(kind)),
        headers: vec![("authorization".to_owned(), format!("Bearer {}", client.token))],
        body: if body.is_null() { String::new() } else { body.to_string() },
    };
    client.azure.answer(&request).unwrap()
}

/// What an example is about is not there before it is made.
fn make(client: &Client, example: &Value) {
    let group = group_of(example);
    let mut first = made_before(text(&example["example"]), &group);
    if example["kind"] != "resourceGroups" {
        first.insert(0, (String::new(), json!({"location": "eastus"})));
    }
    for (path, body) in first {
        let made = ask(client, "PUT", &format!("{group}{path}"), &body);
        assert_eq!(made.status, 201, "{path}: {made:?}");
        client.follow(&made);
    }
}

/// A request may say more than is ever asked of the stand-in: it says so, and takes the rest.
fn taken(client: &Client, method: &str, path: &str, example: &Value) -> Value {
    let mut body = example["asks"].clone();
    for part in texts(&example["without"]) {
        let refused = ask(client, method, path, &body);
        assert_eq!(refused.body["error"]["code"], "InvalidRequestContent", "{part}: {refused:?}");
        let (whole, last) = part.rsplit_once('/').unwrap();
        let whole = body.pointer_mut(whole).unwrap();
        if let Some(fields) = whole.as_object_mut() {
            fields.remove(last).unwrap();
        } else {
            whole.as_array_mut().unwrap().remove(last.parse().unwrap());
        }
    }
    body
}

async fn compare(example: &Value) -> Vec<String> {
    let client = Client::new().await;
    make(&client, example);
    let (method, path) = (text(&example["method"]), text(&example["path"]));
    let path = format!("{}{path}", group_of(example));
    let body = taken(&client, method, &path, example);
    let mut all = Vec::new();
    for status in example["statuses"].as_array().unwrap() {
        let answer = ask(&client, method, &path, &body);
        if *status != answer.status {
            all.push(format!("{status} expected: {answer:?}"));
        }
        for header in texts(&example["headers"]) {
            let link = answer.header(header).unwrap_or_default();
            if answer.status == 202 && !link.starts_with(&client.azure.endpoint()) {
                all.push(format!("{header} is {link:?}"));
            }
        }
        let at = format!("/{}", text(&example["at"]).replace('.', "/"));
        let ours = if at == "/" { Some(&answer.body) } else { answer.body.pointer(&at) };
        all.extend(differences(example, ours.unwrap_or(&Value::Null)));
        client.follow(&answer);
    }
    all
}

#[tokio::test]
async fn every_published_example_is_answered_as_published() {
    let all = examples();
    assert!(all.len() >= 20, "{}", all.len());
    let mut problems = Vec::new();
    for example in all {
        let kind = Kind::named(text(&example["kind"])).unwrap();
        assert!(text(&example["version"]) <= published::version(kind), "{example}");
        let name = text(&example["example"]);
        let differences = compare(&example).await;
        problems.extend(differences.into_iter().map(|one| format!("{name}: {one}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What is published otherwise than the stand-in answers is found: each with one change.
#[tokio::test]
async fn an_example_that_is_not_answered_as_published_is_found() {
    let changed = |name: &str, at: &str, value: Value| {
        let mut all = examples().into_iter();
        let mut example = all.find(|one| one["example"] == name).unwrap();
        let (whole, last) = at.rsplit_once('/').unwrap();
        example.pointer_mut(whole).unwrap()[last] = value;
        example
    };
    let nic = "NetworkInterfaceGet";
    let (rules, removal) = ("NetworkSecurityGroupCreateWithRule", "VirtualMachine_Delete_Force");
    let planted = [
        (changed(nic, "/statuses", json!([201])), "201 expected"),
        (changed(removal, "/headers", json!(["retry-at"])), "retry-at is"),
        (changed(nic, "/gives/properties/unheard", 1.into()), "properties.unheard is missing"),
        (changed(nic, "/gives/properties/provisioningState", 1.into()), "{\"a text\"}"),
        (changed(nic, "/gives/name", "other".into()), "name is [String(\"test-nic\")] instead"),
        (changed(rules, "/left_out", json!([])), "properties.description is missing"),
        (changed(rules, "/left_out", json!(["properties.x"])), "is left out of nothing"),
        (changed(rules, "/left_out", json!(["properties.securityRules"])), "is not left out"),
        (changed(rules, "/left_out", json!(["properties"])), "left out, and read"),
    ];
    for (example, expected) in planted {
        let found = compare(&example).await.join("\n");
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

/// Fields within a field that is itself defined are its own.
fn is_defined(body: &Value, definition: &str) {
    let defined = defined_fields(definition);
    let mut found = Leaves::new();
    leaves(body, "", &mut found);
    let strange = found.keys().find(|path| !defined.contains(path));
    assert_eq!(strange, None, "{definition}: {body}");
}

#[tokio::test]
async fn refusals_and_ends_of_operations_are_as_they_are_defined() {
    let client = Client::new().await;
    let group = group_of(&json!({"group": "g"}));
    let put = |body: &Value| ask(&client, "PUT", &group, body);
    let faults = [
        Fault::Throttled(7),
        Fault::Busy,
        Fault::Broken,
        Fault::Refused(403, "AuthorizationFailed", "Somebody may not."),
    ];
    client.azure.fail_next("GET", "resourceGroups", faults);
    let mut refused: Vec<Answer> =
        (0..4).map(|_| ask(&client, "GET", &group, &Value::Null)).collect();
    assert_eq!(refused.first().unwrap().header("retry-after"), Some("7"));
    refused.push(put(&json!({"location": "eastus", "password": "x"})));
    refused.push(ask(&client, "GET", &group, &Value::Null));
    let statuses: Vec<u16> = refused.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [429, 409, 503, 403, 400, 404]);
    for answer in &refused {
        is_defined(&answer.body, "ErrorResponse");
        let error = &answer.body["error"];
        assert!(!text(&error["code"]).is_empty() && !text(&error["message"]).is_empty(), "{error}");
    }
    assert_eq!(put(&json!({"location": "eastus"})).status, 201);
    let rules = format!("{group}/providers/Microsoft.Network/networkSecurityGroups/a");
    for fails in [None, Some(Fault::EndsFailed("SubnetIsFull", "There is no room."))] {
        client.azure.fail_next("PUT", "networkSecurityGroups", fails);
        let body = json!({"location": "eastus", "tags": {"fails": fails.is_some().to_string()}});
        let made = ask(&client, "PUT", &rules, &body);
        let link = made.header("azure-asyncoperation").unwrap();
        let path = link.strip_prefix(&client.azure.endpoint()).unwrap();
        let (path, query) = path.split_once('?').unwrap();
        let look = Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: vec![("authorization".to_owned(), format!("Bearer {}", client.token))],
            body: String::new(),
        };
        let ended = client.azure.answer(&look).unwrap();
        is_defined(&ended.body, "OperationStatusResult");
        let expected = if fails.is_some() { "Failed" } else { "Succeeded" };
        assert_eq!(ended.body["status"], expected, "{ended:?}");
        assert_eq!(ended.body["error"]["code"].is_string(), fails.is_some(), "{ended:?}");
    }
}
