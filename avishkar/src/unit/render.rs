//! The text of the unit's file, from what it is to run.
//!
//! The engine's socket needs no line: to connect is allowed where nothing may be written, and a file
//! that is named here would be pinned, so that the socket of an engine that was started anew would
//! not be seen.

use std::path::{Path, PathBuf};

use super::place::Scope;
use crate::failure::{Failure, Obstacle};

/// What the unit runs, and for whom.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) scope: Scope,
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// What stands before the folder in the unit's command.
const FOLDER: &str = " up --data ";

/// What a unit of either scope keeps to: the kernel refuses the rest, whoever asks.
const FOR_ALL: &str = "\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0022
";

/// What only the system's systemd can do: a view of the machine of its own, and fewer rights than root.
const FOR_SYSTEM: &str = "\
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_NET_ADMIN CAP_NET_RAW
";

impl Unit {
    /// The whole file. Paths that a unit's file cannot name are refused.
    pub(super) fn render(&self) -> Result<String, Failure> {
        let program = path(&self.program)?;
        let folder = path(&self.folder)?;
        let arguments = self.arguments.iter().map(|argument| text(argument));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let command = [quoted(program), FOLDER.trim().to_owned(), argument(folder)];
        let command = command.into_iter().chain(arguments.into_iter().map(argument));
        let command = command.collect::<Vec<_>>().join(" ");
        let hopeless = hopeless();
        let (order, walls, target) = match self.scope {
            Scope::System => (
                "After=network-online.target docker.service\nWants=network-online.target docker.service\n",
                format!("{FOR_SYSTEM}ReadWritePaths={} -/run/xtables.lock\n", quoted(folder)),
                "multi-user.target",
            ),
            Scope::User => ("", String::new(), "default.target"),
        };
        Ok(format!(
            "\
# Written by `avishkar up --install`, removed by `avishkar down --uninstall`.

[Unit]
Description=Avishkar, the application platform of this machine
{order}StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus={hopeless}
TimeoutStartSec=15min
TimeoutStopSec=30
WatchdogSec=60
{FOR_ALL}{walls}
[Install]
WantedBy={target}
"
        ))
    }
}

/// The folder that a unit's text names, as it stands there, if it is another one than this.
pub(super) fn other_folder(unit: &str, folder: &Path) -> Result<Option<String>, Failure> {
    let own = argument(path(folder)?);
    let command = unit.lines().find(|line| line.starts_with("ExecStart="));
    let named = command.and_then(|command| command.split_once(FOLDER)).map(|(_, rest)| rest);
    let Some(rest) = named.filter(|rest| !rest.starts_with(&own)) else { return Ok(None) };
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    Ok(quoted.map(|(folder, _)| folder.replace("$$", "$").replace("%%", "%")))
}

/// Trying again does not help where somebody has to do something first. An engine that is not there may come back.
fn hopeless() -> String {
    let obstacles = [
        Obstacle::DockerForbidden,
        Obstacle::DockerTooOld,
        Obstacle::FolderNewer,
        Obstacle::FolderDamaged,
        Obstacle::FolderNotWritable,
        Obstacle::ClusterRuns,
        Obstacle::PlatformElsewhere,
        Obstacle::EdgeNameTaken,
        Obstacle::StoreReplaced,
    ];
    let codes = [crate::failure::USAGE].into_iter().chain(obstacles.map(Obstacle::exit_code));
    codes.map(|code| code.to_string()).collect::<Vec<_>>().join(" ")
}

/// An absolute path that needs no more than quotes.
fn path(path: &Path) -> Result<&str, Failure> {
    let unfit = || {
        let path = path.display();
        Failure::Usage(format!(
            "a unit cannot name {path:?}: take a path without quotes, backslashes and control characters"
        ))
    };
    let shown = path.to_str().filter(|_| path.is_absolute()).ok_or_else(unfit)?;
    text(shown).map_err(|_| unfit())
}

fn text(text: &str) -> Result<&str, Failure> {
    let is_unfit = |letter: char| letter.is_control() || matches!(letter, '"' | '\'' | '\\');
    if text.contains(is_unfit) {
        return Err(Failure::Usage(format!("a unit cannot be given {text:?} as an argument")));
    }
    Ok(text)
}

/// In quotes, and without what systemd would replace in any value.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('%', "%%"))
}

/// An argument of a command: there, variables are replaced as well.
fn argument(text: &str) -> String {
    quoted(text).replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn unit(scope: Scope) -> Unit {
        Unit {
            scope,
            program: "/usr/local/bin/avishkar".into(),
            folder: "/var/lib/avishkar".into(),
            arguments: Vec::new(),
        }
    }

    #[test]
    fn the_systems_unit_is_this_text() {
        expect_test::expect_file!["render/system.service"]
            .assert_eq(&unit(Scope::System).render().unwrap());
    }

    #[test]
    fn a_users_unit_is_this_text() {
        expect_test::expect_file!["render/user.service"]
            .assert_eq(&unit(Scope::User).render().unwrap());
    }

    #[test]
    fn hostile_names_stay_names() {
        let hostile = Unit {
            program: "/opt/100% $HOME/avishkar".into(),
            folder: "/srv/my folder; 50% of $USER".into(),
            arguments: vec!["--set".to_owned(), "node.name=$x %h".to_owned()],
            ..unit(Scope::System)
        };
        let text = hostile.render().unwrap();
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            line("ExecStart="),
            r#"ExecStart="/opt/100%% $HOME/avishkar" up --data "/srv/my folder; 50%% of $$USER" "--set" "node.name=$$x %%h""#
        );
        assert_eq!(
            line("ReadWritePaths="),
            r#"ReadWritePaths="/srv/my folder; 50%% of $USER" -/run/xtables.lock"#
        );
        for wrong in ["relative", "/a\nExecStartPre=/bin/x", "/a\"b", "/a\\x", "/a'b", ""] {
            let refused = Unit { folder: wrong.into(), ..unit(Scope::User) }.render();
            assert!(matches!(refused, Err(Failure::Usage(_))), "{wrong:?}");
        }
        let refused = Unit { arguments: vec!["a\nb".to_owned()], ..unit(Scope::User) }.render();
        assert!(matches!(refused, Err(Failure::Usage(_))));
    }

    #[test]
    fn a_unit_of_another_folder_is_known_by_its_text() {
        let folder = "/srv/50% of $USER";
        let text = Unit { folder: folder.into(), ..unit(Scope::User) }.render().unwrap();
        assert_eq!(other_folder(&text, Path::new(folder)).unwrap(), None);
        for other in ["/srv/50%", "/var/lib/avishkar"] {
            let found = other_folder(&text, Path::new(other)).unwrap();
            assert_eq!(found.as_deref(), Some(folder));
        }
        assert_eq!(other_folder("[Unit]\n", Path::new(folder)).unwrap(), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "systemd's own program judges the file")]
    fn systemd_finds_nothing_wrong_with_the_units() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(super::super::place::NAME);
        for scope in [Scope::System, Scope::User] {
            let program = std::env::current_exe().unwrap();
            let text = Unit { program, ..unit(scope) }.render().unwrap();
            fs::write(&file, text).unwrap();
            let whose = match scope {
                Scope::System => "--system",
                Scope::User => "--user",
            };
            let mut verify = Command::new("systemd-analyze");
            verify.args(["verify", "--man=no", whose]).arg(&file);
            let judged = verify.output();
            let judged =
                judged.expect("systemd-analyze judges the units: `make test` installs systemd");
            let said = String::from_utf8_lossy(&judged.stderr);
            let ours: Vec<&str> = said.lines().filter(|line| line.contains("avishkar")).collect();
            assert!(ours.is_empty(), "{whose}: {said}");
        }
    }
}
