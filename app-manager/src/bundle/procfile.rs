//! `Procfile`: its `web:` line, split into words. There is no shell, so what only a shell would
//! understand is refused instead of being passed on as text.

use common::problem::excerpt;

const LONGEST_LINE: usize = 4096;
const MOST_WORDS: usize = 100;

/// Why a `Procfile` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Procfile, line {line}: {why}")]
pub(crate) struct Error {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// The words of the `web:` line; `$NAME` in them is substituted by the platform. A name that the app will
/// not have in its environment is refused here, where a person can still be told.
pub(crate) fn web_command(
    text: &str,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wrong = |why: &str| Error { line: number, why: why.to_owned() };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((process, command)) = line.split_once(':') else {
            return Err(wrong("a line is a name, a colon and a command"));
        };
        if process.trim() != "web" {
            continue;
        }
        if found.is_some() {
            return Err(wrong("there is a second web: line"));
        }
        if line.len() > LONGEST_LINE {
            return Err(wrong("the command is longer than 4096 bytes"));
        }
        found = Some(words(command, is_known).map_err(|why| Error { line: number, why })?);
    }
    found.ok_or_else(|| Error {
        line: text.lines().count().max(1),
        why: "there is no web: line".to_owned(),
    })
}

/// Splits a command into words, or says which of its characters only a shell understands.
pub(super) fn words(command: &str, is_known: &dyn Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    if words.len() > MOST_WORDS {
        return Err(format!("the command has more than {MOST_WORDS} words"));
    }
    let Some(program) = words.first() else { return Err("the command is empty".to_owned()) };
    if program.contains('=') {
        return Err(
            "set variables in avishkar.toml, under [env], not before the command".to_owned()
        );
    }
    if program.starts_with('-') || program.starts_with('$') {
        return Err("the first word is the program to start".to_owned());
    }
    for word in &words {
        check_word(word, is_known)?;
    }
    Ok(words)
}

fn check_word(word: &str, is_known: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let shell = |letter: char| letter.is_control() || "|&;<>()\\\"'`*?[]{}".contains(letter);
    if let Some(letter) = word.chars().find(|letter| shell(*letter)) {
        let shown = letter.escape_debug();
        return Err(format!(
            "'{shown}' needs a shell, and there is none; only $NAME is substituted"
        ));
    }
    if word.starts_with('#') || word.starts_with('~') {
        return Err("a word that begins with # or ~ needs a shell, and there is none".to_owned());
    }
    let names = word.split('$').skip(1);
    for after in names {
        let first = after.chars().next();
        if !first.is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_') {
            return Err("a $ is followed by the name of a variable: $PORT".to_owned());
        }
        let is_part = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
        let name: String = after.chars().take_while(is_part).collect();
        if !is_known(&name) {
            let shown = excerpt(&name);
            return Err(format!(
                "${shown} is no variable of the app; set it in avishkar.toml, [env]"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn web_command(text: &str) -> Result<Vec<String>, Error> {
        super::web_command(text, &|name| matches!(name, "PORT" | "MODE"))
    }

    #[test]
    fn the_web_line_is_split_into_words() {
        let text = "# what runs\nworker: python worker.py; rm -rf /\nweb: gunicorn app:app -b 0.0.0.0:$PORT $MODE$PORT\n";
        assert_eq!(
            web_command(text).unwrap(),
            ["gunicorn", "app:app", "-b", "0.0.0.0:$PORT", "$MODE$PORT"]
        );
    }

    #[test]
    fn what_needs_a_shell_is_refused_with_its_line() {
        for command in [
            "a; b",
            "a && b",
            "a | b",
            "a > b",
            "$(id)",
            "`id`",
            "a \"b c\"",
            "a 'b'",
            "a \\b",
            "a *",
            "a ?",
            "a [b]",
            "a ${PORT}",
            "a $",
            "a $1",
            "a $PORTS",
            "a $HOME/b",
            "FOO=bar a",
            "a ~/b",
            "a # b",
            "$SHELL",
            "--help",
            "a\u{1b}[31m",
            "",
        ] {
            let refused = web_command(&format!("\n\nweb: {command}\n"));
            assert_eq!(refused.map_err(|err| err.line), Err(3), "{command}");
        }
    }

    #[test]
    fn a_file_without_exactly_one_web_line_is_refused() {
        assert_eq!(web_command("worker: a\n").map_err(|err| err.line), Err(1));
        assert_eq!(web_command("").map_err(|err| err.line), Err(1));
        assert_eq!(web_command("web: a\nweb: b").map_err(|err| err.line), Err(2));
        assert_eq!(web_command("web: a\nnonsense").map_err(|err| err.line), Err(2));
    }

    proptest! {
        #[test]
        fn accepted_words_never_hold_what_a_shell_acts_on(text in "web: [ -~\t]{0,60}") {
            if let Ok(words) = web_command(&text) {
                for word in &words {
                    prop_assert!(!word.is_empty());
                    let acts = word.contains(|letter| " \t|&;<>()`\"'\\*{".contains(letter));
                    prop_assert!(!acts, "{}", word);
                }
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
            drop(web_command(&text));
        }
    }
}
