//! Operations: what goes on after a request was answered, until it was looked at often enough.

use serde_json::{Value, json};

use super::answer::Answer;
use super::faults::Fault;
use super::path::Kind;
use super::state::State;
use super::{SUBSCRIPTION, compute, published};

/// Something that goes on.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) resource: String,
    effect: Effect,
    left: u32,
    fails: Option<(&'static str, &'static str)>,
    /// How it is told.
    told: Option<Fault>,
}

/// What an operation does at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The resource is as it was asked for.
    Settle,
    /// It runs for the first time.
    Boot,
    Start,
    Deallocate,
    Restart,
    Remove,
}

/// Begins one, and says so in the resource.
pub(super) fn begin(state: &mut State, id: &str, effect: Effect) -> u32 {
    let number = u32::try_from(state.operations.len()).expect("there are few") + 1;
    let fails = match state.next {
        Some(Fault::EndsFailed(code, message)) => Some((code, message)),
        _ => None,
    };
    let (left, told) = (state.looks, state.next);
    let operation = Operation { resource: id.to_owned(), effect, left, fails, told };
    state.operations.insert(number, operation);
    let doing = match effect {
        Effect::Boot => "Creating",
        Effect::Remove => "Deleting",
        Effect::Settle | Effect::Start | Effect::Deallocate | Effect::Restart => "Updating",
    };
    if let Some(value) = state.find_mut(id) {
        value["properties"]["provisioningState"] = doing.into();
    }
    if left == 0 {
        end(state, number);
    }
    number
}

/// The answer with the links by which the operation is looked at.
pub(super) fn linked(state: &State, number: u32, answer: Answer) -> Answer {
    let Some(operation) = state.operations.get(&number) else { return answer };
    let kind = state.find(&operation.resource).and_then(|value| value["type"].as_str());
    let provider = kind.and_then(|kind| kind.split('/').next()).unwrap_or("Microsoft.Compute");
    let version = match provider {
        "Microsoft.Network" => published::version(Kind::Network),
        _ => published::version(Kind::Computer),
    };
    let base = match operation.told {
        Some(Fault::LinkElsewhere) => "http://192.0.2.1",
        _ => state.base.as_str(),
    };
    let places = format!("/subscriptions/{SUBSCRIPTION}/providers/{provider}/locations/westeurope");
    let link = |what: &str| format!("{base}{places}/{what}/{number}?api-version={version}");
    let (is_told, is_by_location) = match operation.told {
        Some(Fault::NoLink) => (false, false),
        Some(Fault::LocationOnly) => (false, true),
        _ => (true, answer.status == 202),
    };
    let mut answer = answer.with("retry-after", state.retry_after.to_string());
    if is_told {
        answer = answer.with("azure-asyncoperation", link("operations"));
    }
    if is_by_location {
        answer = answer.with("location", link("operationResults"));
        answer.status = 202;
    }
    answer
}

/// What a look at an operation is told.
pub(super) fn look(state: &mut State, number: u32, is_result: bool) -> Answer {
    let Some(operation) = state.operations.get(&number) else {
        return Answer::refused(404, "OperationNotFound", "There is no such operation.");
    };
    let fails = operation.fails;
    step(state, number);
    let has_ended = state.operations.get(&number).is_none_or(|operation| operation.left == 0);
    let waiting = |answer: Answer| answer.with("retry-after", state.retry_after.to_string());
    let error = |(code, message): (&str, &str)| json!({"code": code, "message": message});
    match (is_result, has_ended, fails) {
        (false, false, _) => waiting(Answer::new(200, json!({"status": "InProgress"}))),
        (true, false, _) => {
            let same = state.operations.get(&number).map(|_| state.base.clone());
            let path = format!(
                "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/operationResults/{number}"
            );
            let version = published::version(Kind::Computer);
            let link = format!("{}{path}?api-version={version}", same.unwrap_or_default());
            waiting(Answer::new(202, Value::Null)).with("location", link)
        }
        (false, true, None) => Answer::new(200, json!({"status": "Succeeded"})),
        (true, true, None) => Answer::new(200, Value::Null),
        (false, true, Some(fault)) => {
            Answer::new(200, json!({"status": "Failed", "error": error(fault)}))
        }
        (true, true, Some((code, message))) => Answer::refused(409, code, message),
    }
}

/// What who wants to change a resource is told while something else is done to it. Meanwhile time passes.
pub(super) fn busy(state: &mut State, id: &str) -> Option<Answer> {
    let message = "Another operation on this or dependent resource is in progress.";
    let busy = || Answer::refused(409, "AnotherOperationInProgress", message);
    looked_at(state, id).then(busy)
}

/// Time passes for what is done to a resource. Says whether there was anything.
pub(super) fn looked_at(state: &mut State, id: &str) -> bool {
    let of_it = |(number, operation): (&u32, &Operation)| {
        let is_it = operation.left > 0 && operation.resource.eq_ignore_ascii_case(id);
        is_it.then_some(*number)
    };
    let numbers: Vec<u32> = state.operations.iter().filter_map(of_it).collect();
    for number in &numbers {
        step(state, *number);
    }
    !numbers.is_empty()
}

fn step(state: &mut State, number: u32) {
    let Some(operation) = state.operations.get_mut(&number) else { return };
    if operation.left > 0 {
        operation.left -= 1;
        if operation.left == 0 {
            end(state, number);
        }
    }
}

fn end(state: &mut State, number: u32) {
    let Some(operation) = state.operations.get(&number) else { return };
    let (id, effect, fails) = (operation.resource.clone(), operation.effect, operation.fails);
    let ended = if fails.is_some() { "Failed" } else { "Succeeded" };
    if let Some(value) = state.find_mut(&id) {
        value["properties"]["provisioningState"] = ended.into();
    }
    match (effect, fails) {
        (Effect::Boot, Some((code, _))) => compute::never_ran(state, &id, code),
        (Effect::Start, Some(_)) | (Effect::Deallocate, None) => {
            compute::stand_still(state, &id, "deallocated");
        }
        (Effect::Settle | Effect::Remove | Effect::Deallocate | Effect::Restart, Some(_))
        | (Effect::Settle, None) => {}
        (Effect::Boot, None) => compute::boot(state, &id),
        (Effect::Start, None) => compute::run(state, &id, compute::Anew::IfStopped),
        (Effect::Restart, None) => compute::run(state, &id, compute::Anew::Always),
        (Effect::Remove, None) => compute::remove(state, &id),
    }
}
