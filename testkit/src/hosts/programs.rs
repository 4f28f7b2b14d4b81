//! The programs that every machine has, as far as anybody needs them.

use std::time::Duration;

use bytes::Bytes;
use common::port::host::{Command, End, Output};

use super::system::{System, home};

/// A program that was told to run.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub command: &'a Command,
    /// As whom it runs.
    pub user: &'a str,
    /// The address of its machine.
    pub address: &'a str,
}

impl Call<'_> {
    /// Its arguments.
    pub fn words(&self) -> Vec<&str> {
        self.command.arguments.iter().map(String::as_str).collect()
    }
}

/// A program that succeeds and says this.
pub fn said(text: impl Into<Bytes>) -> Output {
    Output { end: End::Exited(0), stdout: text.into(), stderr: Bytes::new() }
}

/// A program that fails and complains.
pub fn failed(code: u8, complaint: &str) -> Output {
    let stderr = Bytes::from(format!("{complaint}\n"));
    Output { end: End::Exited(code), stdout: Bytes::new(), stderr }
}

/// How long a program takes before it does anything.
pub(super) fn duration(command: &Command) -> Duration {
    let seconds = command.arguments.first().and_then(|text| text.parse().ok());
    let sleeps = command.program == "sleep";
    Duration::from_secs(seconds.filter(|_| sleeps).unwrap_or_default())
}

/// What a program that is there from the start does; none if there is no such program.
pub(super) fn builtin(system: &mut System, call: &Call<'_>) -> Option<Output> {
    let words = call.words();
    Some(match (call.command.program.as_str(), words.as_slice()) {
        ("true" | "sleep", _) => said(""),
        ("false", _) => failed(1, ""),
        ("cat", []) => said(call.command.stdin.clone()),
        ("cat", [path]) => match system.files.get(*path) {
            Some(file) => said(file.bytes.clone()),
            None => failed(1, &format!("cat: {path}: No such file or directory")),
        },
        ("printf", ["%s\\n", rest @ ..]) => {
            said(rest.iter().flat_map(|word| [*word, "\n"]).collect::<String>())
        }
        ("printenv", ["HOME"]) => said(format!("{}\n", home(call.user))),
        ("printenv", [name]) => match call.command.environment.get(*name) {
            Some(value) => said(format!("{value}\n")),
            None => failed(1, ""),
        },
        ("id", ["-u"]) => said(if call.user == "root" { "0\n" } else { "1000\n" }),
        ("stat", ["-c", "%a %U", path]) => match system.files.get(*path) {
            Some(file) => said(format!("{:o} {}\n", file.mode, file.owner)),
            None => failed(1, &format!("stat: cannot statx '{path}': No such file or directory")),
        },
        ("ls", ["-A", folder]) => {
            let names = system.names_in(folder);
            said(names.iter().flat_map(|name| [name.as_str(), "\n"]).collect::<String>())
        }
        ("test", ["-e", path]) => {
            let exists = system.files.contains_key(*path) || system.has_folder(path);
            if exists { said("") } else { failed(1, "") }
        }
        ("mkdir", [.., path]) => {
            system.folders.insert((*path).to_owned());
            said("")
        }
        ("rm", [.., path]) => {
            let within = format!("{path}/");
            system.files.retain(|file, _| file != path && !file.starts_with(&within));
            system.folders.retain(|folder| folder != path && !folder.starts_with(&within));
            said("")
        }
        ("reboot", []) if call.user == "root" => {
            system.reboot();
            said("")
        }
        ("reboot", []) => failed(1, "reboot: must be superuser"),
        _ => return None,
    })
}
