//! The one place where a list of arguments becomes the text that SSH carries, and what goes before it.

use common::port::host::{Command, Privilege};

/// How long a command that is out of time may take to end by itself.
const GRACE_SECONDS: u64 = 5;

/// Words as one line for a POSIX shell, which runs them as they are: each in single quotes, in which nothing means
/// anything but the quote itself.
pub(super) fn quote<T: AsRef<str>>(words: &[T]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push('\'');
        line.push_str(&word.as_ref().replace('\'', r"'\''"));
        line.push('\'');
    }
    line
}

/// What the machine is told to run a command: no shell remains beside it, it has its environment and privilege, and
/// it is ended there, too, when its time is over, whether or not anybody is still connected.
pub(super) fn line(command: &Command, user: &str) -> String {
    let seconds = command.deadline.as_secs() + 1;
    let mut words: Vec<String> = Vec::new();
    if command.privilege == Privilege::Root && user != "root" {
        words.extend(["sudo", "-n", "--"].map(str::to_owned));
    }
    if !command.environment.is_empty() {
        words.push("env".to_owned());
        words.extend(command.environment.iter().map(|(name, value)| format!("{name}={value}")));
    }
    let limit = ["timeout".to_owned(), "-k".to_owned(), GRACE_SECONDS.to_string()];
    words.extend(limit);
    words.extend([seconds.to_string(), command.program.clone()]);
    words.extend(command.arguments.iter().cloned());
    format!("exec {}", quote(&words))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a real shell is the judge")]
mod tests {
    use std::process;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// What a real shell makes of a quoted line: one word a line, ended by a zero byte.
    fn words_in_shell(words: &[String]) -> Vec<String> {
        let script = format!("printf '%s\\0' {}", quote(words));
        let ran = process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{script}: {ran:?}");
        let text = String::from_utf8(ran.stdout).unwrap();
        text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
    }

    fn word() -> impl Strategy<Value = String> {
        let hostile = r#"['"`$\\;&|<>(){}\[\]*?!#~=% 	
a-zé-]{0,12}"#;
        prop_oneof![hostile, "[^\0]{0,8}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn a_shell_gets_the_words_that_were_quoted(words in prop::collection::vec(word(), 1..6)) {
            prop_assert_eq!(words_in_shell(&words), words);
        }
    }

    #[test]
    fn words_that_would_do_something_do_nothing() {
        let words = ["$(id)", "`id`", "'", "''", "\\'", "-rf", "a\nb", "", "~", "*", "!!", "a=b"];
        let words: Vec<String> = words.map(str::to_owned).to_vec();
        assert_eq!(words_in_shell(&words), words);
    }

    #[test]
    fn a_command_is_carried_with_its_privilege_its_environment_and_its_end() {
        let command = Command::new("docker").args(["run", "it's"]).within(Duration::from_secs(30));
        assert_eq!(
            line(&command, "root"),
            r"exec 'timeout' '-k' '5' '31' 'docker' 'run' 'it'\''s'"
        );
        let rooted = command.env("A", "b c").by_root();
        assert_eq!(
            line(&rooted, "ops"),
            r"exec 'sudo' '-n' '--' 'env' 'A=b c' 'timeout' '-k' '5' '31' 'docker' 'run' 'it'\''s'"
        );
        assert!(!line(&rooted, "root").contains("sudo"));
    }
}
