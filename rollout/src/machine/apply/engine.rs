//! The engine of a machine: installed from its system's own packages, and started.

use std::time::Duration;

use common::port::Host;
use common::port::host::Command;
use tokio::time::{Instant, sleep};

use super::super::look::engine;
use super::super::observe::Engine;
use super::super::within::{as_root, must};
use crate::failure::{Code, Why};

const PACKAGES: Duration = Duration::from_mins(10);
const START: Duration = Duration::from_mins(1);
/// A machine that boots starts its engine by itself.
const BOOTING: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// From Debian's or Ubuntu's packages. Where an installation was cut off, it is finished first.
pub(super) async fn install(host: &dyn Host) -> Result<(), Why> {
    if engine(host).await? != Engine::Absent {
        return start(host).await;
    }
    let steps: [&[&str]; 3] = [
        &["dpkg", "--configure", "-a"],
        &["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"],
        &[
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "-y",
            "--no-install-recommends",
            "docker.io",
        ],
    ];
    for words in steps {
        package(host, words).await?;
    }
    // Newer systems have the client in a package of its own.
    if engine(host).await? == Engine::Absent {
        package(
            host,
            &[
                "apt-get",
                "-q",
                "-o",
                "DPkg::Lock::Timeout=300",
                "install",
                "-y",
                "--no-install-recommends",
                "docker-cli",
            ],
        )
        .await?;
    }
    start(host).await
}

async fn package(host: &dyn Host, words: &[&str]) -> Result<(), Why> {
    let command = Command::new("env").args(words.iter().copied()).by_root().within(PACKAGES);
    let command = command.env("DEBIAN_FRONTEND", "noninteractive").saying_at_most(8 << 20);
    let program = words.first().copied().unwrap_or_default();
    let hint =
        "install Docker on the machine by hand, or see whether it reaches its package servers";
    match must(host, program, &command).await {
        Ok(_) => Ok(()),
        Err(why) if why.code == Code::StepFailed => {
            Err(Why { code: Code::DockerAbsent, hint: hint.to_owned(), ..why })
        }
        Err(why) => Err(why),
    }
}

/// By whatever starts services there; an engine that is starting is waited for.
pub(super) async fn start(host: &dyn Host) -> Result<(), Why> {
    let began = Instant::now();
    let mut asked = false;
    loop {
        match engine(host).await? {
            Engine::Answers { .. } => return Ok(()),
            Engine::Absent => {
                let hint = "install Docker on the machine";
                return Err(Why::new(Code::DockerAbsent, "it has no Docker", hint));
            }
            Engine::Silent => {}
        }
        if began.elapsed() > START {
            let message = format!("Docker does not answer within {START:?}");
            let hint = "see `journalctl -u docker` on the machine";
            return Err(Why::new(Code::DockerAbsent, message, hint).but_later());
        }
        if !asked && began.elapsed() > BOOTING {
            let by_systemd = as_root("systemctl").args(["enable", "--now", "docker.service"]);
            if !host.run(&by_systemd.within(START)).await?.succeeded() {
                // Where there is neither, its own init has it: it is waited for.
                host.run(&as_root("service").args(["docker", "start"]).within(START)).await?;
            }
            asked = true;
        }
        sleep(LOOK_AGAIN).await;
    }
}
