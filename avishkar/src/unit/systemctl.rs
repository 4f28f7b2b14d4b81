//! Calls of `systemctl` and `loginctl`: argument vectors, a deadline, and what they said if they fail.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::geteuid;
use tokio::process::Command;
use tokio::time::timeout;

use super::place::{Changed, NAME, Scope};

/// What systemd does at once.
const QUICK: Duration = Duration::from_secs(30);
/// Stopping: the unit's own bound, and some more.
const STOP: Duration = Duration::from_mins(2);
/// Starting may include building the edge's image: the unit's own bound, and some more.
const START: Duration = Duration::from_mins(16);
/// So much of what a program says is shown.
const SHOWN: usize = 500;

/// The systemd that the unit belongs to.
#[derive(Debug)]
pub(super) struct Systemctl {
    scope: Scope,
}

impl Systemctl {
    pub(super) fn new(scope: Scope) -> Self {
        Systemctl { scope }
    }

    /// Whether it can be spoken with at all: a user's runs only while they are signed in, or may linger.
    pub(super) async fn answers(&self) -> anyhow::Result<()> {
        self.done(&["show", "--property=Version"], QUICK).await
    }

    /// Has systemd read its files anew.
    pub(super) async fn reload(&self) -> anyhow::Result<()> {
        self.done(&["daemon-reload"], QUICK).await
    }

    /// Has the unit start by itself from now on.
    pub(super) async fn enable(&self) -> anyhow::Result<()> {
        self.done(&["enable", NAME], QUICK).await
    }

    /// Returns when the platform has said that it is ready.
    pub(super) async fn start(&self, changed: Changed) -> anyhow::Result<()> {
        let verb = match changed {
            Changed::Yes => "restart",
            Changed::No => "start",
        };
        self.done(&[verb, NAME], START).await
    }

    /// Stops the unit and has it start no more.
    pub(super) async fn disable(&self) -> anyhow::Result<()> {
        self.done(&["disable", "--now", NAME], STOP).await
    }

    pub(super) async fn is_active(&self) -> bool {
        let output = run("systemctl", &self.arguments(&["is-active", NAME]), QUICK).await;
        let state = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        state.is_ok_and(|state| matches!(state.as_str(), "active" | "activating" | "reloading"))
    }

    /// How what the unit runs ended last; none where it has not.
    pub(super) async fn exit_code(&self) -> Option<u8> {
        let words = ["show", "--property=ExecMainStatus", "--value", NAME];
        let output = run("systemctl", &self.arguments(&words), QUICK).await.ok()?;
        let code: u8 = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
        Some(code).filter(|code| *code > 0)
    }

    /// Has a user's unit run without the user being signed in. The system's runs anyway.
    pub(super) async fn linger(&self) -> anyhow::Result<()> {
        match self.scope {
            Scope::System => Ok(()),
            Scope::User => {
                // Unnamed, it would be whose session this is, and `sudo` makes none.
                let user = geteuid().as_raw().to_string();
                let said = ["show-user", &user, "--property=Linger", "--value"];
                let said = run("loginctl", &said, QUICK).await;
                if said.is_ok_and(|said| said.stdout.trim_ascii() == b"yes") {
                    return Ok(());
                }
                let words = ["--no-ask-password", "enable-linger", &user];
                checked("loginctl", &words, QUICK).await.context(
                    "the platform starts when you sign in, and not with the machine; \
                     `sudo loginctl enable-linger $USER` changes that",
                )
            }
        }
    }

    async fn done(&self, arguments: &[&str], within: Duration) -> anyhow::Result<()> {
        checked("systemctl", &self.arguments(arguments), within).await
    }

    /// Nobody is asked for a password: whoever may not do it is told so.
    fn arguments<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        let before: &[&str] = match self.scope {
            Scope::System => &["--no-ask-password", "--no-pager"],
            Scope::User => &["--user", "--no-ask-password", "--no-pager"],
        };
        [before, arguments].concat()
    }
}

async fn checked(program: &str, arguments: &[&str], within: Duration) -> anyhow::Result<()> {
    let output = run(program, arguments, within).await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().take(SHOWN).collect();
    bail!("`{program} {}` failed: {said}", arguments.join(" "))
}

#[expect(clippy::disallowed_methods, reason = "systemd is spoken with by its own programs")]
async fn run(program: &str, arguments: &[&str], within: Duration) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(within, command.output()).await {
        Ok(output) => output.with_context(|| format!("{program} cannot be run")),
        Err(_) => Err(anyhow!("`{program} {}` did not end in time", arguments.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_unit_is_spoken_of_to_the_users_systemd() {
        let system = Systemctl::new(Scope::System).arguments(&["enable", NAME]);
        assert_eq!(system, ["--no-ask-password", "--no-pager", "enable", "avishkar.service"]);
        let user = Systemctl::new(Scope::User).arguments(&["daemon-reload"]);
        assert_eq!(user, ["--user", "--no-ask-password", "--no-pager", "daemon-reload"]);
    }

    #[tokio::test]
    async fn a_program_that_fails_or_hangs_or_is_missing_is_told() {
        let failed = checked("ls", &["/no such folder"], QUICK).await.unwrap_err().to_string();
        assert!(failed.starts_with("`ls /no such folder` failed: "), "{failed}");
        let hung = run("sleep", &["60"], Duration::from_millis(10)).await.unwrap_err().to_string();
        assert_eq!(hung, "`sleep 60` did not end in time");
        let missing = run("no-such-program", &[], QUICK).await.unwrap_err().to_string();
        assert_eq!(missing, "no-such-program cannot be run");
    }
}
