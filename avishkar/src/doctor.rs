//! What is wrong with this machine for the platform, and what to do about it.
//!
//! Reading order: [`Settings`] say what the platform needs; `observe` reads the machine and changes
//! nothing; `engine`, `folder`, `services`, `ports`, `left` and `machine` judge what was observed, each finding a
//! [`Check`]. `end` remembers how the last start ended.

mod check;
mod end;
mod engine;
mod folder;
mod left;
mod machine;
mod observe;
mod ports;
mod services;
mod settings;
mod sockets;

use self::observe::Observed;

pub(crate) use self::check::{Check, Verdict};
pub(crate) use self::end::note as note_end;
pub(crate) use self::left::Left;
pub(crate) use self::services::{Told, ask};
pub(crate) use self::settings::{Edge, Settings, default_folder};

use crate::failure::{Failure, Obstacle};

/// Why somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To see how the machine is: a platform that runs has its ports and its folder rightly.
    Examine,
    /// To start the platform: nobody else may have what it needs.
    Start,
}

/// Everything that can be said of this machine, what matters most first.
pub(crate) async fn examine(settings: &Settings) -> Vec<Check> {
    let observed = observe::machine(settings).await;
    let mut checks = checks(settings, &observed, Purpose::Examine);
    if engine::runs_edge(observed.engine.as_ref().ok()) {
        checks.extend(ports::edge(settings, &observed.listening));
    }
    if folder::is_in_use(&observed.folder) {
        checks.push(services::check(&services::ask_all(&settings.services).await));
    } else {
        checks.extend(end::check(&settings.folder));
    }
    checks
}

/// Before the platform starts: the first thing that keeps it from starting, but for what is forgiven, else what to
/// warn of.
pub(crate) async fn preflight(
    settings: &Settings,
    forgiven: &[Obstacle],
) -> Result<Vec<Check>, Failure> {
    let checks = checks(settings, &observe::machine(settings).await, Purpose::Start);
    let is_forgiven = |check: &&Check| match check.verdict {
        Verdict::Failure(obstacle) => forgiven.contains(&obstacle),
        Verdict::Fine | Verdict::Warning => false,
    };
    let failing =
        |check: &Check| Some(check).filter(|check| !is_forgiven(check)).and_then(Check::failure);
    if let Some(failure) = checks.iter().find_map(failing) {
        return Err(failure);
    }
    Ok(checks.into_iter().filter(|check| check.verdict == Verdict::Warning).collect())
}

fn checks(settings: &Settings, observed: &Observed, purpose: Purpose) -> Vec<Check> {
    let is_ours = ports::Ours {
        services: purpose == Purpose::Examine && folder::is_in_use(&observed.folder),
        edge: engine::runs_edge(observed.engine.as_ref().ok()),
    };
    let running = observed.engine.as_ref().map(|survey| survey.running.as_slice());
    let mut checks = engine::checks(settings, observed);
    checks.push(folder::usable(&observed.folder, purpose));
    checks.extend(folder::room(&observed.folder));
    checks.push(ports::services(settings, &observed.listening, is_ours));
    checks.push(ports::front(settings, &observed.listening, is_ours));
    checks.extend(left::check(observed.left.as_ref(), running.unwrap_or_default()));
    checks.push(machine::clock(observed));
    checks.push(machine::memory(observed.memory));
    checks.push(machine::iptables(observed.has_iptables));
    checks.push(machine::control_groups(observed.has_control_groups));
    checks
}
