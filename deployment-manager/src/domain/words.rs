//! Words of a command: `$NAME` is substituted, and nothing else a shell would do is done.

use std::collections::BTreeMap;

/// The command names a variable that the release's environment does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the command names ${0}, which the release's environment does not have")]
pub(crate) struct UnknownVariable(pub(crate) String);

/// Substitutes `$NAME` in each word. A `$` without a name behind it stays.
pub(crate) fn substitute(
    words: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Vec<String>, UnknownVariable> {
    words.iter().map(|word| substitute_word(word, environment)).collect()
}

fn substitute_word(
    word: &str,
    environment: &BTreeMap<String, String>,
) -> Result<String, UnknownVariable> {
    let mut parts = word.split('$');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let (name, rest) = part.split_at(end.unwrap_or(part.len()));
        if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
            result.push('$');
            result.push_str(part);
        } else {
            let value = environment.get(name);
            result.push_str(value.ok_or_else(|| UnknownVariable(name.to_owned()))?);
            result.push_str(rest);
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(word: &str) -> Result<String, UnknownVariable> {
        let environment = [("PORT", "8080"), ("MODE", "$PORT; rm")];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        substitute_word(word, &environment)
    }

    #[test]
    fn names_are_substituted_once_and_nothing_else_is_understood() {
        for (word, result) in [
            ("--bind=0.0.0.0:$PORT", "--bind=0.0.0.0:8080"),
            ("$PORT$PORT/x", "80808080/x"),
            ("$MODE", "$PORT; rm"),
            ("${PORT}", "${PORT}"),
            ("$1 $$ $", "$1 $$ $"),
            ("`id` && $(id)", "`id` && $(id)"),
        ] {
            assert_eq!(substituted(word).as_deref(), Ok(result), "{word}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(substituted("x$PORTS"), Err(UnknownVariable("PORTS".to_owned())));
    }
}
