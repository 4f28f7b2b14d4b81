//! [`Command`]: a program and its arguments, and what it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// How many bytes a command may have, arguments and environment together. A shell carries it as one argument, and
/// Linux takes 128 KiB of one; quoting makes it longer.
pub const MAX_COMMAND: usize = 64 * 1024;
const DEADLINE: Duration = Duration::from_mins(1);
const OUTPUT_LIMIT: usize = 1024 * 1024;

/// As whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// As who signed in.
    User,
    /// As root, by `sudo` where somebody else signed in.
    Root,
}

/// A program to be run on a machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    pub program: String,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub privilege: Privilege,
    pub stdin: Bytes,
    pub deadline: Duration,
    /// How many bytes it may say, on both streams together.
    pub output_limit: usize,
}

impl Command {
    /// As who signed in, with a minute's time and room for 1 MiB of output.
    pub fn new(program: impl Into<String>) -> Self {
        Command {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            privilege: Privilege::User,
            stdin: Bytes::new(),
            deadline: DEADLINE,
            output_limit: OUTPUT_LIMIT,
        }
    }

    #[must_use]
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    #[must_use]
    pub fn by_root(mut self) -> Self {
        self.privilege = Privilege::Root;
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = bytes.into();
        self
    }

    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    #[must_use]
    pub fn saying_at_most(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Fails if no machine can be told this.
    pub fn check(&self) -> Result<(), Unfit> {
        if self.program.is_empty() {
            return Err(Unfit::NoProgram);
        }
        if let Some(name) = self.environment.keys().find(|name| !is_variable(name)) {
            return Err(Unfit::Variable { name: name.clone() });
        }
        let words = || [&self.program].into_iter().chain(&self.arguments);
        let values = || words().chain(self.environment.values());
        if values().any(|text| text.contains('\0')) {
            return Err(Unfit::ZeroByte { program: self.program.clone() });
        }
        let size = values().chain(self.environment.keys()).map(|text| text.len() + 3).sum();
        if size > MAX_COMMAND { Err(Unfit::TooLong { size }) } else { Ok(()) }
    }
}

fn is_variable(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// The words as a person would say them; not for a shell, and without the environment, which may hold secrets.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// Without what may be secret: the values of its environment, and its input.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &names)
            .field("privilege", &self.privilege)
            .field("stdin", &self.stdin.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Why a command cannot be told to any machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a command without a program")]
    NoProgram,
    #[error("{name:?} is no name of a variable")]
    Variable { name: String },
    #[error("an argument of {program:?} has a zero byte")]
    ZeroByte { program: String },
    #[error("a command of {size} bytes is longer than {MAX_COMMAND}")]
    TooLong { size: usize },
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub end: End,
    pub stdout: Bytes,
    pub stderr: Bytes,
}

impl Output {
    pub fn succeeded(&self) -> bool {
        self.end == End::Exited(0)
    }

    /// Standard output as text, without the white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The last words of a command that failed: the end of what it complained, else of what it said.
    pub fn complaint(&self) -> String {
        let said = if self.stderr.trim_ascii().is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.last() {
            Some(last) => last.chars().filter(|letter| !letter.is_control()).take(300).collect(),
            None => self.end.to_string(),
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// 126 and 127 are said of a program that cannot be run, or is not there.
    Exited(u8),
    /// The signal's name without `SIG`.
    Signalled(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(code) => write!(f, "it ended with {code}"),
            End::Signalled(signal) => write!(f, "it was ended by {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_can_be_told_is_refused() {
        assert_eq!(Command::new("").check(), Err(Unfit::NoProgram));
        let zero = Command::new("cat").args(["a\0b"]);
        assert!(matches!(zero.check(), Err(Unfit::ZeroByte { .. })));
        for name in ["", "1A", "A B", "A=B", "-"] {
            let named = Command::new("env").env(name, "x");
            assert!(matches!(named.check(), Err(Unfit::Variable { .. })), "{name}");
        }
        let long = Command::new("echo").args(["x".repeat(MAX_COMMAND)]);
        assert!(matches!(long.check(), Err(Unfit::TooLong { .. })));
        assert_eq!(Command::new("echo").args(["'", "\n", "$x"]).env("_A1", "\n").check(), Ok(()));
    }

    #[test]
    fn a_complaint_is_the_last_line_that_says_something() {
        let output = |stdout: &'static str, stderr: &'static str| Output {
            end: End::Exited(3),
            stdout: Bytes::from_static(stdout.as_bytes()),
            stderr: Bytes::from_static(stderr.as_bytes()),
        };
        assert_eq!(output("out", "one\ntwo\u{7}\n\n").complaint(), "two");
        assert_eq!(output("out\n", " \n").complaint(), "out");
        assert_eq!(output("", "").complaint(), "it ended with 3");
    }

    #[test]
    fn a_command_is_shown_without_its_secrets() {
        let command = Command::new("docker").args(["login"]).env("PASSWORD", "secret");
        let command = command.stdin("secret");
        assert_eq!(command.to_string(), "docker login");
        let shown = format!("{command:?}");
        assert!(shown.contains("PASSWORD") && !shown.contains("secret"), "{shown}");
    }
}
