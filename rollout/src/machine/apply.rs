//! One step, done. Each does nothing twice that has an effect: what is there already is left.

mod bring;
mod engine;

use std::time::Duration;

use common::digest::Digest;
use common::port::Host;
use common::port::host::{self, Content, NewFile};
use common::port::machines::MachineSpec;
use common::service::ServiceName;
use tokio::time::{Instant, sleep};

pub use self::bring::LONGEST as LONGEST_COPY;
use super::agent::{AGENT, FOLDERS, PKI, STATE, agent_run};
use super::look::{ARRIVING, AgentAsked, free_disk, is_there};
use super::observe::{Observed, access, backend, learn, signed_in};
use super::plan::no_room;
use super::remains::enter;
use super::step::{Action, Step};
use super::within::{as_root, docker, must, path};
use super::{Goal, Ports, removal};
use crate::failure::{Code, Failure, Why};
use crate::platform::PlannedMachine;

/// Brings one image to a machine, where it is missing and there is room.
pub async fn bring_image(ports: &Ports, goal: &Goal, image: &Digest) -> Result<(), Failure> {
    let name = &goal.machine.name;
    let Some(host) = enter(ports, goal).await? else { return Ok(()) };
    let brought = async {
        if is_there(host.as_ref(), image).await? {
            return Ok(());
        }
        // ZooKeeper and Kafka may have the same disk.
        if let Some(why) = free_disk(host.as_ref()).await?.and_then(no_room) {
            return Err(why);
        }
        bring::one(ports, host.as_ref(), image).await
    };
    brought.await.map_err(|why: Why| Failure::of(name, format!("bring an image to {name}"), why))
}

/// How long a machine that was made or started may take until it lets somebody in.
const BOOT: Duration = Duration::from_mins(3);
/// How long the agent may take until it answers.
const AGENT_WITHIN: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
pub(super) const STOP: Duration = Duration::from_mins(2);

/// Does one step. Gives what is known of the machine afterwards.
pub async fn apply(
    ports: &Ports,
    goal: &Goal,
    seen: &Observed,
    step: &Step,
) -> Result<PlannedMachine, Failure> {
    let goal = goal.with(&seen.machine);
    let applied = act(ports, &goal, &step.action).await;
    applied.map_err(|why| Failure::of(&step.machine, step, why))
}

async fn act(ports: &Ports, goal: &Goal, action: &Action) -> Result<PlannedMachine, Why> {
    let mut machine = goal.machine.clone();
    match action {
        Action::Make(_) => return make(ports, goal).await,
        Action::Start => {
            let started = backend(ports, goal)?.start(&machine.name).await?;
            learn(&mut machine, &started);
            return let_in(ports, &goal.with(&machine)).await;
        }
        Action::Pin(key) => machine.host_key = Some(key.clone()),
        Action::Authorize(_) => return authorize(ports, goal).await,
        Action::Delete(_) => backend(ports, goal)?.delete(&machine.name).await?,
        Action::InstallEngine
        | Action::StartEngine
        | Action::MakeFolders
        | Action::Sweep
        | Action::BringBuildEnv
        | Action::Certify
        | Action::BringImages(_)
        | Action::RunAgent
        | Action::AwaitAgent
        | Action::RemoveAgent
        | Action::RemoveContainers
        | Action::RemoveFolders => {
            let (host, _) = signed_in(ports, goal).await?;
            inside(ports, goal, host.as_ref(), action).await?;
        }
    }
    Ok(machine)
}

async fn inside(ports: &Ports, goal: &Goal, host: &dyn Host, action: &Action) -> Result<(), Why> {
    match action {
        Action::InstallEngine => engine::install(host).await,
        Action::StartEngine => engine::start(host).await,
        Action::MakeFolders => folders(host).await,
        Action::Sweep => must(host, "rm", &as_root("rm").args(["-f", ARRIVING])).await.map(drop),
        Action::BringBuildEnv => bring::build_env(goal, host).await,
        Action::Certify => certify(ports, goal, host).await,
        Action::BringImages(_) => bring::images(ports, goal, host).await,
        Action::RunAgent => run_agent(ports, goal, host).await,
        Action::AwaitAgent => await_agent(ports, goal, host).await,
        Action::RemoveAgent => remove_agent(host).await,
        Action::RemoveContainers => removal::containers(host).await,
        Action::RemoveFolders => removal::folders(host).await,
        // Done from outside.
        Action::Make(_)
        | Action::Start
        | Action::Pin(_)
        | Action::Authorize(_)
        | Action::Delete(_) => Ok(()),
    }
}

async fn make(ports: &Ports, goal: &Goal) -> Result<PlannedMachine, Why> {
    let authorized_key = ports.hosts.ensure_key(&goal.key, &goal.key_comment()).await?;
    let mut machine = goal.machine.clone();
    let spec = MachineSpec { name: machine.name.clone(), authorized_key, shape: goal.shape() };
    // Whatever was pinned before was another machine's.
    machine.host_key = None;
    learn(&mut machine, &backend(ports, goal)?.create(&spec).await?);
    machine.credential = goal.own_key();
    let_in(ports, &goal.with(&machine)).await
}

/// Waits until a machine that was just switched on lets somebody in.
async fn let_in(ports: &Ports, goal: &Goal) -> Result<PlannedMachine, Why> {
    if goal.machine.host_key.is_none() {
        return Ok(goal.machine.clone());
    }
    let access = access(goal, goal.machine.credential.clone())?;
    let until = Instant::now() + BOOT;
    loop {
        match ports.hosts.connect(&access).await {
            // Whether another machine has taken its place, or it shows another key, the next look says.
            Ok(_) | Err(host::Error::HostKeyChanged { .. }) => return Ok(goal.machine.clone()),
            Err(err) if err.is_retryable() && Instant::now() < until => sleep(LOOK_AGAIN).await,
            Err(err) => return Err(err.into()),
        }
    }
}

async fn authorize(ports: &Ports, goal: &Goal) -> Result<PlannedMachine, Why> {
    let key = ports.hosts.ensure_key(&goal.key, &goal.key_comment()).await?;
    let (host, _) = signed_in(ports, goal).await?;
    host.authorize(&key).await?;
    let machine = PlannedMachine { credential: goal.own_key(), ..goal.machine.clone() };
    // It must let us in before anything else relies on it.
    ports.hosts.connect(&access(&goal.with(&machine), goal.own_key())?).await?;
    Ok(machine)
}

async fn folders(host: &dyn Host) -> Result<(), Why> {
    for folder in FOLDERS {
        let command = as_root("mkdir").args(["-p", "-m", "0700", folder]);
        must(host, "mkdir", &command).await?;
    }
    Ok(())
}

/// The certificate comes last: where it stands, the set is whole.
async fn certify(ports: &Ports, goal: &Goal, host: &dyn Host) -> Result<(), Why> {
    let Some(trust) = &ports.trust else {
        return Err(Why::incomplete("the platform has no authority yet"));
    };
    let papers = trust.authority.issue(ServiceName::NodeAgent, &goal.agent_names())?;
    let agent = ServiceName::NodeAgent.as_str();
    let own = format!("{PKI}/{agent}.pem");
    must(host, "rm", &as_root("rm").args(["-f", own.as_str()])).await?;
    let files = [
        (format!("{PKI}/ca.pem"), trust.authority.certificate().to_owned()),
        (format!("{PKI}/{agent}.key"), papers.key),
        (own, papers.certificate),
    ];
    for (file, text) in files {
        host.write(&NewFile::new(path(&file), 0o600).by_root(), Content::from(text)).await?;
    }
    Ok(())
}

async fn run_agent(ports: &Ports, goal: &Goal, host: &dyn Host) -> Result<(), Why> {
    let Some(trust) = &ports.trust else {
        return Err(Why::incomplete("the platform has no authority yet"));
    };
    let papers = trust.authority.issue(ServiceName::NodeAgent, &goal.agent_names())?;
    let run = agent_run(goal, &papers);
    let run = run.ok_or_else(|| Why::incomplete("where other machines reach it is not known"))?;
    remove_agent(host).await?;
    let command = as_root("docker").args(run.arguments).within(STOP);
    must(host, "docker run", &command).await.map(drop)
}

async fn remove_agent(host: &dyn Host) -> Result<(), Why> {
    let there = host.run(&docker(&["container", "inspect", "--format", "{{.Id}}", AGENT])).await?;
    if !there.succeeded() {
        return Ok(());
    }
    // It ends its work by itself; what it runs stays.
    host.run(&docker(&["stop", "--time", "10", AGENT]).within(STOP)).await?;
    must(host, "docker rm", &docker(&["rm", "--force", AGENT]).within(STOP)).await.map(drop)
}

async fn await_agent(ports: &Ports, goal: &Goal, host: &dyn Host) -> Result<(), Why> {
    let until = Instant::now() + AGENT_WITHIN;
    let agent = AgentAsked::of(ports, goal, host).await?;
    while Instant::now() < until {
        if let Some(agent) = &agent
            && agent.answers().await
        {
            return Ok(());
        }
        sleep(LOOK_AGAIN).await;
    }
    let said = host.run(&docker(&["logs", "--tail", "5", AGENT])).await?;
    let message = format!("it does not answer within {AGENT_WITHIN:?}: {}", said.complaint());
    let way = if goal.machine.is_behind_its_gate() {
        "whether its sshd forwards (AllowTcpForwarding)"
    } else {
        "whether its port is let through"
    };
    let hint = format!("see `docker logs {AGENT}` on the machine, and {way}");
    Err(Why::new(Code::AgentSilent, message, hint).but_later())
}

/// Where marks of what was brought are.
fn mark(name: &str) -> String {
    format!("{STATE}/{name}")
}
