//! `avishkar bootstrap`: from a file to a platform on machines of its own, and back.

mod digest;
mod sure;
mod told;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bootstrapper::description::Description;
use bootstrapper::file::{self, ThisComputer};
use bootstrapper::state::{FileBook, State};
use bootstrapper::{HostKeys, Manner, Novelty, Plan, Ports, Trouble};
use common::name::NodeName;
use common::port::host::{Gate, PORT as SSH};
use rollout::machine::AGENT;
use rollout::platform::PlannedMachine;

use crate::cli::{Act, Bootstrap, Described};
use crate::failure::Failure;
use crate::output::Output;
use crate::wiring::bootstrapper as wiring;
use crate::wiring::settable::refused;
use told::Told;

pub(crate) async fn run(args: Bootstrap, output: Output) -> anyhow::Result<()> {
    match args {
        Bootstrap::Plan { described, new_platform } => {
            plan(&described, novelty(new_platform), output).await
        }
        Bootstrap::Apply { act, new_platform } => apply(&act, novelty(new_platform), output).await,
        Bootstrap::Destroy { act, yes } => destroy(&act, yes.as_deref(), output).await,
        Bootstrap::Digest { folder } => digest::tell(&folder, output).await,
    }
}

fn novelty(new_platform: bool) -> Novelty {
    if new_platform { Novelty::Said } else { Novelty::Unsaid }
}

/// The file, and the ways to what it speaks of.
fn opened(described: &Described) -> anyhow::Result<(Description, Ports)> {
    let mut description = read(&described.file)?;
    let ports = wiring::connect(&mut description)?;
    Ok((description, ports))
}

fn read(path: &Path) -> anyhow::Result<Description> {
    let unreadable = |err: std::io::Error| Failure::Usage(format!("{}: {err}", path.display()));
    let path = std::path::absolute(path).map_err(unreadable)?;
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    let folder = path.parent().context("a file is in a folder")?;
    let read = file::read(&text, folder, &ThisComputer(refused));
    Ok(read.map_err(|problems| Failure::PlatformFile { file: path.clone(), problems })?)
}

fn failed(what: &'static str) -> impl FnOnce(Vec<Trouble>) -> Failure {
    move |troubles| Failure::Bootstrap { what, troubles }
}

async fn plan(described: &Described, novelty: Novelty, output: Output) -> anyhow::Result<()> {
    let (description, ports) = opened(described)?;
    let book = FileBook::to_read(&description.state_file);
    let plan = bootstrapper::plan(&ports, &description, &book, novelty).await;
    let plan = plan.map_err(failed("the platform cannot be planned"))?;
    output.answer(&plan, &in_words(&plan))?;
    let troubles = plan.troubles();
    if troubles.is_empty() {
        return Ok(());
    }
    Err(failed("not everything can be planned")(troubles).into())
}

fn in_words(plan: &Plan) -> String {
    let mut lines = Vec::new();
    if plan.kept_by_lifecycle_manager {
        lines.push("A lifecycle manager keeps the platform: what is left, it does.".to_owned());
    }
    if !plan.to_be_given.is_empty() {
        let given: Vec<&str> = plan.to_be_given.iter().map(NodeName::as_str).collect();
        lines.push(format!(
            "`apply` gives credentials and settings of services to the lifecycle managers of {}.",
            given.join(", ")
        ));
    }
    lines.extend(plan.unseen.iter().map(|Trouble { machine, cause, hint, .. }| {
        let on = machine.as_ref().map_or("this computer", NodeName::as_str);
        format!("{on} could not be looked at, so nobody knows what its lifecycle manager goes by: {cause}; {hint}")
    }));
    for machine in &plan.machines {
        let is_done = machine.steps.is_empty() && machine.trouble.is_none();
        let done = if is_done { ": nothing is left to do" } else { "" };
        lines.push(format!("{} ({}){done}", machine.machine, machine.kind));
        lines.extend(machine.steps.iter().map(|step| format!("  - {step}")));
        lines.extend(machine.notes.iter().map(|note| format!("  ! {note}")));
        lines.extend(machine.trouble.iter().map(|Trouble { cause, hint, .. }| {
            format!("  ! nobody knows what is left to do on it: {cause}; {hint}")
        }));
    }
    lines.join("\n")
}

fn manner(act: &Act, novelty: Novelty) -> Manner {
    Manner {
        who: sure::who(),
        host_keys: if act.accept_new_host_keys {
            HostKeys::AcceptNew
        } else {
            HostKeys::PinnedOnly
        },
        novelty,
        patience: Duration::from_secs(act.wait),
    }
}

async fn apply(act: &Act, novelty: Novelty, output: Output) -> anyhow::Result<()> {
    let (description, ports) = opened(&act.described)?;
    let book = FileBook::open(&description.state_file);
    let book = book.map_err(|err| failed("the platform is not made")(vec![err.into()]))?;
    let told = Told::new(output);
    let manner = manner(act, novelty);
    let applied = bootstrapper::apply(&ports, &description, &book, &told, &manner).await;
    let state = applied.map_err(failed("the platform is not made"))?;
    let Description { key_file, state_file, .. } = &description;
    output.answer(&state, &where_it_is(&state, key_file, state_file))
}

fn where_it_is(state: &State, key_file: &Path, state_file: &Path) -> String {
    let mut text = format!("The platform {} is there.\n", state.name);
    if let Some(endpoints) = &state.endpoints {
        let brokers = endpoints.kafka.join(",");
        text.push_str(&format!(
            "  lifecycle managers: {}\n  Kafka: {brokers}\n  ZooKeeper: {}\n  edge: {}\n",
            endpoints.lifecycle_managers.join(", "),
            endpoints.zookeeper.join(", "),
            endpoints.edge,
        ));
        let start = format!("avishkar bus send Bootstrapper 'start platform' --brokers {brokers}");
        let inside = state.machines.iter().find(|machine| machine.is_behind_its_gate());
        let there = inside.and_then(|machine| on_a_machine(machine, key_file, &start));
        if there.is_some() {
            text.push_str("  these are addresses of the machines' network\n");
        }
        text.push_str(&format!("  start its services: {}\n", there.unwrap_or(start)));
    }
    text.push_str(&format!("  all of this is in {}", state_file.display()));
    text
}

/// The same command on a machine, for who cannot reach the others' addresses: the agent's image has this program.
fn on_a_machine(machine: &PlannedMachine, key_file: &Path, command: &str) -> Option<String> {
    let Gate { address, port } = machine.gate.as_ref()?;
    let (user, key) = (&machine.user, key_file.display());
    let sudo = if user == "root" { "" } else { "sudo " };
    let port = if *port == SSH { String::new() } else { format!("-p {port} ") };
    Some(format!("ssh -i {key} {port}{user}@{address} \"{sudo}docker exec {AGENT} {command}\""))
}

async fn destroy(act: &Act, yes: Option<&str>, output: Output) -> anyhow::Result<()> {
    let (description, ports) = opened(&act.described)?;
    let name = description.platform.name.to_string();
    sure::be_sure(&name, yes)?;
    let book = FileBook::open(&description.state_file);
    let book = book.map_err(|err| failed("the platform is not removed")(vec![err.into()]))?;
    let told = Told::new(output);
    let manner = manner(act, Novelty::Unsaid);
    let gone = bootstrapper::destroy(&ports, &description, &book, &told, &manner).await;
    gone.map_err(failed("the platform is not removed"))?;
    let said = serde_json::json!({ "destroyed": name });
    output.answer(&said, &format!("Nothing of the platform {name} is left."))
}

#[cfg(test)]
mod tests {
    use bootstrapper::MachinePlan;
    use bootstrapper::state::Endpoints;
    use common::port::host::Credential;
    use common::port::machines::Shape;

    use super::*;

    /// The last words about a platform of one machine, which one signs in to here.
    fn last_words(gate: Gate, user: &str) -> String {
        let mut state = State::new("fleet".parse().unwrap(), "computer".to_owned());
        state.machines = vec![PlannedMachine {
            name: "node-1".parse().unwrap(),
            shape: Shape::Given,
            gate: Some(gate),
            address: Some("192.0.2.11".parse().unwrap()),
            user: user.to_owned(),
            credential: Credential::KeyFile("/keys/platform".into()),
            id: None,
            host_key: None,
        }];
        state.endpoints = Some(Endpoints {
            lifecycle_managers: vec!["192.0.2.11:9080".to_owned()],
            platform_initializers: vec!["192.0.2.11:10050".to_owned()],
            kafka: vec!["192.0.2.11:9092".to_owned()],
            zookeeper: vec!["192.0.2.11:2181".to_owned()],
            registry: "192.0.2.11:5000".to_owned(),
            edge: "192.0.2.11".to_owned(),
        });
        where_it_is(&state, "/keys/platform".as_ref(), "/ops/fleet.state.json".as_ref())
    }

    #[test]
    fn where_a_platform_is_says_how_it_is_started_from_here() {
        assert_eq!(
            last_words(Gate::new("192.0.2.11"), "root"),
            "The platform fleet is there.\n  lifecycle managers: 192.0.2.11:9080\n  \
             Kafka: 192.0.2.11:9092\n  ZooKeeper: 192.0.2.11:2181\n  edge: 192.0.2.11\n  \
             start its services: avishkar bus send Bootstrapper 'start platform' --brokers 192.0.2.11:9092\n  \
             all of this is in /ops/fleet.state.json"
        );
    }

    #[test]
    fn who_cannot_reach_the_machines_network_is_told_so_and_what_to_do_on_a_machine() {
        let gate = Gate { port: 2222, ..Gate::new("fleet.example.org") };
        let said = last_words(gate, "ops");
        let start = "start its services: ssh -i /keys/platform -p 2222 ops@fleet.example.org \
                     \"sudo docker exec avishkar-agent avishkar bus send Bootstrapper 'start platform' \
                     --brokers 192.0.2.11:9092\"";
        assert!(said.contains("these are addresses of the machines' network"), "{said}");
        assert!(said.contains(start), "{said}");
        let said = last_words(Gate::new("203.0.113.7"), "root");
        assert!(said.contains(" root@203.0.113.7 \"docker exec "), "{said}");
    }

    #[test]
    fn a_plan_says_of_each_machine_that_could_not_be_looked_at_why() {
        let trouble = |machine: &str| Trouble {
            machine: Some(machine.parse().unwrap()),
            step: format!("look at {machine}"),
            code: "MACHINE_UNREACHABLE",
            cause: "it does not run".to_owned(),
            hint: "start it".to_owned(),
        };
        let machine = |name: &str, trouble| MachinePlan {
            machine: name.parse().unwrap(),
            kind: "given",
            steps: Vec::new(),
            notes: Vec::new(),
            trouble,
        };
        let plan = Plan {
            machines: vec![machine("node-1", None), machine("node-2", Some(trouble("node-2")))],
            kept_by_lifecycle_manager: true,
            to_be_given: vec!["node-1".parse().unwrap()],
            unseen: vec![trouble("node-3")],
            refused: Vec::new(),
        };
        assert_eq!(
            in_words(&plan),
            "A lifecycle manager keeps the platform: what is left, it does.\n\
             `apply` gives credentials and settings of services to the lifecycle managers of node-1.\n\
             node-3 could not be looked at, so nobody knows what its lifecycle manager goes by: it does not run; start it\n\
             node-1 (given): nothing is left to do\n\
             node-2 (given)\n  \
             ! nobody knows what is left to do on it: it does not run; start it"
        );
    }
}
