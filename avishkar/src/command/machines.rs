//! `avishkar machines`: what the platform stands on, and what people decide about it.

use std::time::Duration;

use common::name::NodeName;
use common::port::host::HostKey;
use common::port::upkeep::{Machine, Pin};
use common::record::machine::MachineState;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::platform::{Asked, Goal, ask};
use crate::cli::{MachineAdd, MachinePin, MachineRemove, Machines, MachinesAct};
use crate::client::{ANSWER_WITHIN, Client};
use crate::failure::Failure;
use crate::output::{Output, table};

const MACHINES: &str = "/api/v1/machines";
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longer than a machine is waited for to be empty, and then removed.
const PATIENCE: Duration = Duration::from_mins(31);

pub(crate) async fn run(client: &Client, args: Machines, output: Output) -> anyhow::Result<()> {
    match args.act {
        None | Some(MachinesAct::List) => list(client, output).await,
        Some(MachinesAct::Add(args)) => add(client, args, output).await,
        Some(MachinesAct::Remove(args)) => remove(client, &args, output).await,
        Some(MachinesAct::Pin(args)) => pin(client, &args, output).await,
    }
}

async fn list(client: &Client, output: Output) -> anyhow::Result<()> {
    let machines: Vec<Machine> = client.get(MACHINES).await?;
    output.answer(&machines, &text(&machines))
}

async fn add(client: &Client, args: MachineAdd, output: Output) -> anyhow::Result<()> {
    let body = json!({ "name": args.name, "reason": args.reason });
    let (path, no_wait) = (MACHINES.to_owned(), args.no_wait);
    ask(client, Asked { goal: Goal::AddMachine, path, body, no_wait }, output).await
}

async fn remove(client: &Client, args: &MachineRemove, output: Output) -> anyhow::Result<()> {
    let name = &args.machine;
    let request = client.request(Method::DELETE, &format!("{MACHINES}/{name}"))?;
    client.open(request.timeout(ANSWER_WITHIN)).await?;
    if args.no_wait {
        let text = format!("{name} leaves as soon as it is empty");
        return output.answer(&json!({ "machine": name, "state": "leaving" }), &text);
    }
    let look = async || client.get::<Vec<Machine>>(MACHINES).await;
    until_gone(name, output, look).await?;
    output.answer(&json!({ "machine": name, "state": "gone" }), &format!("{name} is gone"))
}

/// Looks again and again; that nobody can be asked for a while says nothing about the machine.
async fn until_gone(
    name: &NodeName,
    output: Output,
    look: impl AsyncFn() -> anyhow::Result<Vec<Machine>>,
) -> anyhow::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let mut told = String::new();
    loop {
        let now = match look().await {
            Ok(machines) => match machines.into_iter().find(|machine| machine.name == *name) {
                None => return Ok(()),
                Some(machine) => format!("{name}: {}", machine.reason),
            },
            Err(err) => match err.downcast_ref::<Failure>() {
                Some(Failure::Unreachable { .. }) => format!("{name}: waiting for the platform"),
                Some(Failure::Refused(problem)) if problem.status >= 500 => {
                    format!("{name}: waiting for the platform: {}", problem.detail)
                }
                Some(_) | None => return Err(err.context(format!("{name} goes on leaving"))),
            },
        };
        if now != told {
            output.progress(&now);
            told = now;
        }
        if Instant::now() > give_up {
            let hint = "it goes on; see `avishkar machines`".to_owned();
            return Err(Failure::TimedOut { what: format!("taking {name} away"), hint }.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn pin(client: &Client, args: &MachinePin, output: Output) -> anyhow::Result<()> {
    let host_key: HostKey = args.host_key.join(" ").parse().map_err(|err| Failure::usage(&err))?;
    let name = &args.machine;
    let request = client.request(Method::PUT, &format!("{MACHINES}/{name}/host-key"))?;
    let pin = Pin { host_key };
    client.open(request.timeout(ANSWER_WITHIN).json(&pin)).await?;
    let text = format!("{name} is known by {} from now on", pin.host_key);
    output.answer(&json!({ "machine": name, "host_key": pin.host_key }), &text)
}

fn text(machines: &[Machine]) -> String {
    if machines.is_empty() {
        return "the platform knows no machine".to_owned();
    }
    let row = |one: &Machine| {
        let address = one.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let state = state(one.state).to_owned();
        vec![one.name.to_string(), address, one.kind.clone(), state, one.reason.clone()]
    };
    let rows: Vec<Vec<String>> = machines.iter().map(row).collect();
    let mut text = table(&["MACHINE", "ADDRESS", "KIND", "STATE", "WHY"], &rows);
    for note in machines.iter().filter_map(note) {
        text.push_str(&format!("\n{note}"));
    }
    text
}

/// What helped nothing, and what only a person can end.
fn note(machine: &Machine) -> Option<String> {
    let name = &machine.name;
    let why = machine.failure.as_ref().map(|failure| format!("{name}: {failure}"));
    if machine.state != MachineState::Quarantined {
        return why;
    }
    let why = why.map(|why| format!("{why}\n")).unwrap_or_default();
    let look =
        "compare its host key with `ssh-keygen -lf` at its console; if it is the machine's own";
    Some(format!("{why}  hint: {look}: avishkar machines pin {name} KEY"))
}

fn state(state: MachineState) -> &'static str {
    match state {
        MachineState::Preparing => "preparing",
        MachineState::Ready => "ready",
        MachineState::Silent => "silent",
        MachineState::Quarantined => "quarantined",
        MachineState::Leaving => "leaving",
        MachineState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use common::problem::Problem;

    use super::*;

    fn machines(reason: &str) -> Vec<Machine> {
        let machine = json!({
            "name": "extra-1", "kind": "local", "address": null, "goal": "absent",
            "state": "leaving", "reason": reason, "since": "2026-01-01T00:00:00Z", "restarts": [],
            "attempts": 0, "failure": null,
        });
        vec![serde_json::from_value(machine).unwrap()]
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_is_waited_for_until_it_is_listed_no_more() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            let problem = Problem::new(503, "LIFECYCLE_UNAVAILABLE", "title", "nobody leads");
            match looks.get() {
                1 => Ok(machines("it is being emptied")),
                2 => Err(Failure::Refused(Box::new(problem)).into()),
                3 => Ok(machines("its bundles are being copied")),
                _ => Ok(Vec::new()),
            }
        };
        until_gone(&"extra-1".parse().unwrap(), Output::new(true), look).await.unwrap();
        assert_eq!(looks.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_may_not_look_any_more_is_told_that_it_goes_on() {
        let look = async || {
            let problem = Problem::new(401, "TOKEN_EXPIRED", "title", "sign in again");
            Err(Failure::Refused(Box::new(problem)).into())
        };
        let err = until_gone(&"extra-1".parse().unwrap(), Output::new(true), look).await;
        assert!(format!("{:#}", err.unwrap_err()).contains("extra-1 goes on leaving"));
    }
}
