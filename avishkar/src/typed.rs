//! What was typed and cannot be read, for programs. People get it from clap itself.

use std::ffi::OsString;

use clap::error::{Error, ErrorKind};

use crate::failure::Failure;

const HINT: &str = "`--help` shows what may be typed";

/// Whether these words, of which clap made nothing, have `--json` among them.
pub(crate) fn asks_for_json(words: impl Iterator<Item = OsString>) -> bool {
    words.skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// The same as clap would print: its first paragraph, and its tips as a hint.
pub(crate) fn wrong(err: &Error) -> Failure {
    if err.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // All that clap has to say is its help.
        let sentence = "there is more to be typed than that".to_owned();
        return Failure::Typed { sentence, hint: HINT.to_owned() };
    }
    let text = err.render().to_string();
    let mut paragraphs = text.split("\n\n").map(in_one_line);
    let first = paragraphs.next().unwrap_or_default();
    let sentence = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    let tips: Vec<String> =
        paragraphs.filter_map(|line| Some(line.strip_prefix("tip: ")?.to_owned())).collect();
    let hint = if tips.is_empty() { HINT.to_owned() } else { tips.join("; ") };
    Failure::Typed { sentence, hint }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    /// Sentence and hint.
    fn told(words: &[&str]) -> (String, String) {
        let err = Cli::try_parse_from(words).unwrap_err();
        let failure = wrong(&err);
        let Failure::Typed { sentence, hint } = failure else { panic!("{failure:?}") };
        (sentence, hint)
    }

    #[test]
    fn the_sentence_is_claps_own() {
        let (sentence, hint) = told(&["avishkar", "scale", "hello", "abc"]);
        let expected = "invalid value 'abc' for '<REPLICAS>': ";
        assert!(sentence.starts_with(expected), "{sentence}");
        assert_eq!(hint, HINT);
        let (sentence, _) = told(&["avishkar", "scale", "hello"]);
        assert_eq!(sentence, "the following required arguments were not provided: <REPLICAS>");
    }

    #[test]
    fn a_tip_is_the_hint() {
        let (sentence, hint) = told(&["avishkar", "statsu"]);
        assert_eq!(sentence, "unrecognized subcommand 'statsu'");
        assert!(hint.contains("'status'"), "{hint}");
    }

    #[test]
    fn a_command_that_needs_another_says_so_and_not_its_whole_help() {
        let (sentence, hint) = told(&["avishkar", "bus"]);
        assert!(sentence.len() < 60, "{sentence}");
        assert_eq!(hint, HINT);
    }

    #[test]
    fn json_is_asked_for_by_its_own_word() {
        let asked = |words: &[&str]| asks_for_json(words.iter().map(OsString::from));
        assert!(asked(&["avishkar", "scale", "--json", "x"]));
        assert!(!asked(&["--json", "scale"]));
        assert!(!asked(&["avishkar", "deploy", "--", "--json"]));
    }
}
