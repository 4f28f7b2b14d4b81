//! What is left to do. Pure.

use super::Goal;
use super::observe::{AgentSeen, Certificate, Engine, Entry, Existence, Inside, Observed};
use super::step::{Action, Step};
use crate::failure::{Code, Failure, Why};

/// The oldest engine that the agent speaks with.
pub const OLDEST_ENGINE: (u32, u32) = (20, 10);
/// How far a machine's clock may be off, in seconds.
pub const MOST_CLOCK_OFFSET: i64 = 60;
/// The bytes that must be free before images are brought.
pub const NEEDED_DISK: u64 = 2 << 30;

/// The steps that make the machine what it should be, in order; none are left when it is. Fails where no step helps.
pub fn plan(goal: &Goal, seen: &Observed) -> Result<Vec<Step>, Failure> {
    let name = &goal.machine.name;
    let mut actions = Vec::new();
    match (seen.existence, &seen.shown_key) {
        (Existence::Absent, _) => actions.push(Action::Make(goal.machine.shape.kind())),
        (Existence::Off, _) => actions.push(Action::Start),
        (Existence::Runs, Some(key)) => actions.push(Action::Pin(key.clone())),
        (Existence::Runs, None) => {}
    }
    if seen.entry == Entry::ByCredential {
        actions.push(Action::Authorize(seen.machine.user.clone()));
    }
    let certain = seen.inside.is_some();
    let mut steps: Vec<Step> = actions.into_iter().map(|action| step(goal, action, true)).collect();
    let inside = match &seen.inside {
        Some(inside) => {
            let found = obstacle(inside);
            if let Some(why) = found {
                return Err(Failure::of(name, format!("make {name} a node"), why));
            }
            remaining(goal, inside)
        }
        None => everything(goal),
    };
    // An engine that does not answer says nothing of its images and containers.
    let engine_hides = seen.inside.as_ref().is_some_and(|inside| inside.engine == Engine::Silent);
    steps.extend(inside.into_iter().map(|action| {
        let hidden = engine_hides
            && matches!(action, Action::BringImages(_) | Action::RunAgent | Action::AwaitAgent);
        step(goal, action, certain && !hidden)
    }));
    Ok(steps)
}

pub(super) fn step(goal: &Goal, action: Action, certain: bool) -> Step {
    Step { machine: goal.machine.name.clone(), action, certain }
}

/// What a machine may need into which nobody could look.
fn everything(goal: &Goal) -> Vec<Action> {
    let mut actions = vec![Action::InstallEngine, Action::MakeFolders];
    if goal.build_env.is_some() {
        actions.push(Action::BringBuildEnv);
    }
    actions.extend([
        Action::Certify,
        Action::BringImages(goal.images.len()),
        Action::RunAgent,
        Action::AwaitAgent,
    ]);
    actions
}

fn remaining(goal: &Goal, inside: &Inside) -> Vec<Action> {
    let wrong_certificate = inside.certificate == Certificate::Wrong;
    let new_agent =
        matches!(inside.agent, AgentSeen::Absent | AgentSeen::Other) || wrong_certificate;
    let needed = [
        (inside.engine == Engine::Absent, Action::InstallEngine),
        (inside.engine == Engine::Silent, Action::StartEngine),
        (!inside.has_folders, Action::MakeFolders),
        (inside.has_archive, Action::Sweep),
        (goal.build_env.is_some() && !inside.has_build_env, Action::BringBuildEnv),
        (wrong_certificate, Action::Certify),
        (inside.missing_images > 0, Action::BringImages(inside.missing_images)),
        (new_agent, Action::RunAgent),
        (new_agent || inside.agent == AgentSeen::Silent, Action::AwaitAgent),
    ];
    needed.into_iter().filter_map(|(needed, action)| needed.then_some(action)).collect()
}

/// What stands in the way and no step removes.
fn obstacle(inside: &Inside) -> Option<Why> {
    if inside.certificate == Certificate::Foreign {
        let message = "its agent trusts another authority than this platform's";
        let hint = "destroy the platform that it belongs to; if that one is gone, remove /etc/avishkar and the container avishkar-agent from the machine";
        return Some(Why::new(Code::NodeForeign, message, hint));
    }
    if inside.clock_ahead.abs() > MOST_CLOCK_OFFSET {
        let (seconds, way) = (inside.clock_ahead.abs(), ahead_or_behind(inside.clock_ahead));
        let message = format!("its clock is {seconds} s {way} ours");
        let hint = "set the clocks by NTP: timedatectl set-ntp true";
        return Some(Why::new(Code::ClockOff, message, hint));
    }
    match &inside.engine {
        Engine::Absent if !has_apt(inside) => {
            let system = inside.systems.first().map_or("unknown", String::as_str);
            let message =
                format!("it has no Docker, and how to install one on {system} is not known");
            let (major, minor) = OLDEST_ENGINE;
            let hint = format!("install Docker {major}.{minor} or newer on it");
            return Some(Why::new(Code::DockerAbsent, message, hint));
        }
        Engine::Answers { version } if is_too_old(version) => {
            let (major, minor) = OLDEST_ENGINE;
            let message = format!("its Docker is {version}, and {major}.{minor} is needed");
            let hint = "install a newer Docker; containers and images stay";
            return Some(Why::new(Code::DockerTooOld, message, hint));
        }
        Engine::Absent | Engine::Silent | Engine::Answers { .. } => {}
    }
    if let Some(why) = inside.free_disk.filter(|_| inside.missing_images > 0).and_then(no_room) {
        return Some(why);
    }
    if !inside.taken_ports.is_empty() {
        let ports: Vec<String> = inside.taken_ports.iter().map(ToString::to_string).collect();
        let plural = if ports.len() > 1 { "s" } else { "" };
        let message = format!("somebody else listens on its port{plural} {}", ports.join(", "));
        let hint = "see who does with `ss -ltnp` on the machine, and end it or have it listen on another port";
        return Some(Why::new(Code::PortTaken, message, hint));
    }
    None
}

/// Why so many free bytes, where its engine keeps images, are too few for one more.
pub(super) fn no_room(free: u64) -> Option<Why> {
    let of = |bytes: u64| bytes >> 20;
    let message = format!(
        "{} MiB are free where Docker keeps images, and {} MiB are needed",
        of(free),
        of(NEEDED_DISK)
    );
    let hint = "make room, or give the machine a larger disk";
    (free < NEEDED_DISK).then(|| Why::new(Code::InsufficientStorage, message, hint))
}

fn ahead_or_behind(clock_ahead: i64) -> &'static str {
    if clock_ahead > 0 { "ahead of" } else { "behind" }
}

fn has_apt(inside: &Inside) -> bool {
    inside.systems.iter().any(|system| system == "debian" || system == "ubuntu")
}

/// Whether the first two numbers of a version such as `20.10.24+dfsg1` are below the oldest; what is none is new.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| {
        let digits = part.split(|letter: char| !letter.is_ascii_digit()).next();
        digits.unwrap_or_default().parse::<u32>()
    });
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_ENGINE,
        _ => false,
    }
}
