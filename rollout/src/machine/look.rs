//! What root sees inside a machine.

use std::net::SocketAddr;

use common::digest::Digest;
use common::port::container::label;
use common::port::host::{self, Command, End, Forward, Privilege};
use common::port::nodes::Agent;
use common::port::{Host, Parts};
use common::service::ServiceName;

use super::agent::{AGENT, BUILD_ENV, FOLDERS, PKI, STATE, agent_run};
use super::observe::{AgentSeen, Certificate, Engine, Inside};
use super::removal::LABEL;
use super::within::{QUICK, as_root, docker, must, path};
use super::{Goal, Ports};
use crate::failure::{Code, Why};
use crate::platform::AGENT_PORT;

const SMALL: usize = 64 * 1024;
const TABLE: usize = 4 * 1024 * 1024;
/// Where archives of images arrive.
pub(super) const ARRIVING: &str = "/var/lib/avishkar/arriving.tar";
/// The state of a socket that listens, as the kernel's tables say it.
const LISTENS: &str = "0A";

pub(super) async fn look_inside(
    ports: &Ports,
    goal: &Goal,
    host: &dyn Host,
) -> Result<Inside, Why> {
    let id = must(host, "id", &as_root("id").args(["-u"])).await?.text();
    if id != "0" {
        let message = format!("commands of root run as user {id} there");
        let hint = "sign in as root, or as somebody who may become root";
        return Err(Why::new(Code::SudoRefused, message, hint));
    }
    let uname = must(host, "uname", &plain("uname").args(["-r", "-m"])).await?.text();
    let (kernel, architecture) = uname.split_once(' ').unwrap_or((&uname, ""));
    let engine = engine(host).await?;
    let answers = matches!(engine, Engine::Answers { .. });
    let (agent, certificate) = agent_and_certificate(ports, goal, host, answers).await?;
    let mut missing_images = goal.images.len();
    if answers {
        missing_images = missing(goal, host).await?;
    }
    // Whose a port is, only the engine knows.
    let taken_ports = match engine {
        Engine::Silent => Vec::new(),
        Engine::Absent | Engine::Answers { .. } => taken_ports(goal, host, agent, answers).await?,
    };
    let has_folders = succeeds(host, as_root("stat").args(["-c", "%n"]).args(FOLDERS)).await?;
    let has_archive = succeeds(host, as_root("test").args(["-e", ARRIVING])).await?;
    Ok(Inside {
        kernel: kernel.to_owned(),
        architecture: architecture.to_owned(),
        systems: systems(host).await?,
        clock_ahead: clock_ahead(ports, host).await?,
        free_disk: free_disk(host).await?,
        engine,
        has_folders,
        has_archive,
        has_build_env: has_build_env(goal, host).await?,
        certificate,
        missing_images,
        agent,
        taken_ports,
    })
}

fn plain(program: &str) -> Command {
    Command::new(program).within(QUICK)
}

async fn succeeds(host: &dyn Host, command: Command) -> Result<bool, Why> {
    Ok(host.run(&command).await?.succeeded())
}

async fn read(host: &dyn Host, file: &str, limit: usize) -> Result<String, Why> {
    let bytes = host.read(&path(file), Privilege::Root, limit).await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names that its system goes by, the nearest first.
async fn systems(host: &dyn Host) -> Result<Vec<String>, Why> {
    let text = read(host, "/etc/os-release", SMALL).await?;
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().trim_matches('"').to_owned()
    };
    let names = format!("{} {}", value("ID"), value("ID_LIKE"));
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

async fn clock_ahead(ports: &Ports, host: &dyn Host) -> Result<i64, Why> {
    let said = must(host, "date", &plain("date").args(["+%s"])).await?.text();
    let theirs: i64 = said.parse().map_err(|_| {
        Why::new(Code::StepFailed, format!("date says {said:?}"), "see what `date +%s` says there")
    })?;
    Ok(theirs - ports.clock.now().as_second())
}

/// Of the engine's folder, or of the one that it will be in.
pub(super) async fn free_disk(host: &dyn Host) -> Result<Option<u64>, Why> {
    for folder in ["/var/lib/docker", "/var/lib"] {
        let command = as_root("df").args(["-B1", "--output=avail", folder]);
        let output = host.run(&command).await?;
        if output.succeeded() {
            return Ok(output.text().lines().last().and_then(|line| line.trim().parse().ok()));
        }
    }
    Ok(None)
}

pub(super) async fn engine(host: &dyn Host) -> Result<Engine, Why> {
    let output = host.run(&docker(&["version", "--format", "{{.Server.Version}}"])).await?;
    Ok(match output.end {
        End::Exited(0) => Engine::Answers { version: output.text() },
        End::Exited(126 | 127) => Engine::Absent,
        End::Exited(_) | End::Signalled(_) => Engine::Silent,
    })
}

/// How many of the wanted images are not there.
async fn missing(goal: &Goal, host: &dyn Host) -> Result<usize, Why> {
    let mut missing = 0;
    for image in &goal.images {
        missing += usize::from(!is_there(host, image).await?);
    }
    Ok(missing)
}

pub(super) async fn is_there(host: &dyn Host, image: &Digest) -> Result<bool, Why> {
    let command = docker(&["image", "inspect", "--format", "{{.Id}}", image.as_str()]);
    succeeds(host, command).await
}

/// What was written down when it was brought.
pub(super) fn build_env_mark(goal: &Goal) -> Option<String> {
    goal.build_env.as_ref().map(|archive| Digest::of(archive).to_string())
}

async fn has_build_env(goal: &Goal, host: &dyn Host) -> Result<bool, Why> {
    let Some(wanted) = build_env_mark(goal) else { return Ok(true) };
    let mark = read(host, &format!("{STATE}/build-env.digest"), SMALL).await?;
    let filled = succeeds(host, as_root("test").args(["-d", BUILD_ENV])).await?;
    Ok(filled && mark == wanted)
}

async fn agent_and_certificate(
    ports: &Ports,
    goal: &Goal,
    host: &dyn Host,
    engine_answers: bool,
) -> Result<(AgentSeen, Certificate), Why> {
    let mut run = None;
    let mut certificate = Certificate::Wrong;
    if let Some(trust) = &ports.trust {
        let papers = trust.authority.issue(ServiceName::NodeAgent, &goal.agent_names())?;
        let own = read(host, &format!("{PKI}/{}.pem", ServiceName::NodeAgent), SMALL).await?;
        let authority = read(host, &format!("{PKI}/ca.pem"), SMALL).await?;
        if !authority.is_empty() && authority != trust.authority.certificate() {
            certificate = Certificate::Foreign;
        } else if own == papers.certificate && !authority.is_empty() {
            certificate = Certificate::Right;
        }
        run = agent_run(goal, &papers);
    }
    if !engine_answers {
        return Ok((AgentSeen::Absent, certificate));
    }
    let format = format!("{{{{.State.Running}}}} {{{{index .Config.Labels {:?}}}}}", label::SPEC);
    let output = host.run(&docker(&["container", "inspect", "--format", &format, AGENT])).await?;
    if !output.succeeded() {
        return Ok((AgentSeen::Absent, certificate));
    }
    let as_wanted = run.is_some_and(|run| output.text() == format!("true {}", run.hash));
    if !as_wanted {
        return Ok((AgentSeen::Other, certificate));
    }
    let seen = match AgentAsked::of(ports, goal, host).await? {
        Some(agent) if agent.answers().await => AgentSeen::Answers,
        Some(_) | None => AgentSeen::Silent,
    };
    Ok((seen, certificate))
}

/// An agent, and the way to it that is open as long as it is asked.
pub(super) struct AgentAsked<'a> {
    parts: &'a dyn Parts,
    agent: Agent,
    _way: Option<Box<dyn Forward>>,
}

impl<'a> AgentAsked<'a> {
    /// None where nobody can be asked yet.
    pub(super) async fn of(
        ports: &'a Ports,
        goal: &Goal,
        host: &dyn Host,
    ) -> Result<Option<Self>, host::Error> {
        let machine = &goal.machine;
        let (Some(trust), Some(address)) = (&ports.trust, machine.reached_at()) else {
            return Ok(None);
        };
        let address = SocketAddr::new(address, AGENT_PORT);
        let mut agent = Agent { node: machine.name.clone(), address };
        let mut way = None;
        if machine.is_behind_its_gate() {
            let opened = host.forward(address).await?;
            agent.address = opened.at();
            way = Some(opened);
        }
        Ok(Some(AgentAsked { parts: trust.parts.as_ref(), agent, _way: way }))
    }

    /// Whether it answers who has the lifecycle manager's certificate.
    pub(super) async fn answers(&self) -> bool {
        self.parts.parts(&self.agent).await.is_ok()
    }
}

/// A port that our own agent has is not taken, nor those that its parts have while it is away.
async fn taken_ports(
    goal: &Goal,
    host: &dyn Host,
    agent: AgentSeen,
    engine_answers: bool,
) -> Result<Vec<u16>, Why> {
    if agent != AgentSeen::Absent {
        return Ok(Vec::new());
    }
    let mut needed = vec![AGENT_PORT];
    if !(engine_answers && has_containers(host).await?) {
        needed.extend(&goal.ports);
    }
    let mut taken = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let listening = read(host, table, TABLE).await?;
        let here = |port: &u16| listening.lines().any(|line| listens_on(line, *port));
        taken.extend(needed.iter().copied().filter(here));
    }
    taken.sort_unstable();
    taken.dedup();
    Ok(taken)
}

/// Whether anything of the platform's runs there.
async fn has_containers(host: &dyn Host) -> Result<bool, Why> {
    let listed = docker(&["ps", "--quiet", "--filter", LABEL]);
    Ok(!must(host, "docker", &listed).await?.text().is_empty())
}

/// Whether a line of the kernel's table is of a socket that listens on this port.
fn listens_on(line: &str, port: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next().and_then(|local| local.rsplit_once(':'));
    let state = fields.nth(1);
    let number = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
    state == Some(LISTENS) && number == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_listens_is_told_from_one_that_is_connected() {
        let line = |state: &str| format!("   0: 0100007F:1D13 00000000:0000 {state} 00000000:0");
        assert!(listens_on(&line("0A"), AGENT_PORT));
        assert!(!listens_on(&line("01"), AGENT_PORT));
        assert!(!listens_on(&line("0A"), 443));
        assert!(!listens_on("  sl  local_address rem_address   st", AGENT_PORT));
        let wide = "   1: 00000000000000000000000000000000:1D13 00000000000000000000000000000000:0000 0A 0";
        assert!(listens_on(wide, AGENT_PORT));
    }
}
