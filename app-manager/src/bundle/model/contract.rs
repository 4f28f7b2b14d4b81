//! A model's contract, read without running it: whether it has the two functions that are called. What cannot
//! be told from the text is let through; the program that loads the contract tells it then.

/// A function of the contract, and what it is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    name: &'static str,
    arguments: &'static [&'static str],
}

pub(super) const LOAD: Function = Function { name: "load", arguments: &["path"] };
pub(super) const PREDICT: Function = Function { name: "predict", arguments: &["model", "input"] };

/// Ways to make names that no reader can follow.
const UNSEEN: [&str; 4] = ["import *", "exec(", "globals(", "setattr("];

/// Over so many lines the parameters of a function are read.
const LINES: usize = 64;

impl Function {
    fn called(self) -> String {
        format!("{}({})", self.name, self.arguments.join(", "))
    }
}

/// Refuses a text in which the function is seen to be missing, or to be called otherwise.
pub(super) fn check(text: &str, function: Function) -> Result<(), String> {
    let code: Vec<&str> = text.lines().map(without_comment).collect();
    let is_defined = |at: &usize| code.get(*at).is_some_and(|line| defines(line, function.name));
    let definitions: Vec<usize> = (0..code.len()).filter(is_defined).collect();
    if definitions.is_empty() {
        let is_unseen = |line: &&str| {
            UNSEEN.iter().any(|way| line.contains(way)) || mentions(line, function.name)
        };
        return if code.iter().any(is_unseen) {
            Ok(())
        } else {
            Err(format!("has no function {}", function.called()))
        };
    }
    let mut why = None;
    for at in definitions {
        // A decorator may make another function of it.
        if is_decorated(&code, at) {
            return Ok(());
        }
        let rest: Vec<&str> = code.iter().skip(at).take(LINES).copied().collect();
        let rest = rest.join("\n");
        match fits(&rest, function) {
            Ok(()) => return Ok(()),
            Err(err) => why = Some(err),
        }
    }
    why.map_or(Ok(()), Err)
}

/// Whether the line before a definition is a decorator, or may be the end of one.
fn is_decorated(code: &[&str], at: usize) -> bool {
    let before = code.iter().take(at).rev().find(|line| !line.trim().is_empty());
    before.is_some_and(|line| line.starts_with(['@', ')']))
}

/// What is behind a `#`; one inside of a text cuts more, which never refuses anything by itself.
fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(code, _)| code)
}

/// Whether a line at the top level defines the function.
fn defines(line: &str, name: &str) -> bool {
    let line = line.strip_prefix("async ").map_or(line, str::trim_start);
    let rest = line.strip_prefix("def ").and_then(|rest| rest.trim_start().strip_prefix(name));
    rest.is_some_and(|rest| rest.trim_start().starts_with(['(', '[']))
}

/// Whether the name stands there by itself: given a value, imported, or a function inside of an `if`. What belongs
/// to something else (`json.load`) or to a class (its first parameter is `self`) is not it.
fn mentions(line: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let of_class = ["(self", "(cls"].iter().any(|first| line.contains(&format!("{name}{first}")));
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| rest.find(name)).map(|at| from + at) {
        from = at + name.len();
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(from..).and_then(|text| text.chars().next());
        let is_word = !before.is_some_and(|letter| is_part(letter) || letter == '.')
            && !after.is_some_and(is_part);
        if is_word && !of_class {
            return true;
        }
    }
    false
}

/// Whether a definition, from its `def` on, can be called so.
fn fits(definition: &str, function: Function) -> Result<(), String> {
    let Function { name, arguments } = function;
    if definition.starts_with("async") {
        return Err(format!("has {name} as async, and it is called as {}", function.called()));
    }
    let Some(parameters) = parameters(definition) else { return Ok(()) };
    let mut required = 0;
    let mut positional = 0;
    let (mut is_open, mut by_name, mut lacks_one) = (false, false, false);
    for parameter in parameters {
        let has_default = parameter.contains('=');
        match parameter.as_str() {
            "" | "/" => {}
            "*" => by_name = true,
            text if text.starts_with("**") => {}
            text if text.starts_with('*') => (is_open, by_name) = (true, true),
            _ if by_name => lacks_one |= !has_default,
            _ => {
                positional += 1;
                required += usize::from(!has_default);
            }
        }
    }
    let given = arguments.len();
    if !lacks_one && required <= given && (given <= positional || is_open) {
        Ok(())
    } else {
        Err(format!("has {name} with other parameters, and it is called as {}", function.called()))
    }
}

/// The parameters between the first parentheses; none where they do not end within sight.
fn parameters(definition: &str) -> Option<Vec<String>> {
    const FAR: usize = 4096;
    let start = definition.find('(')? + 1;
    let mut parameters = vec![String::new()];
    let mut depth = 0;
    for letter in definition.get(start..)?.chars().take(FAR) {
        match letter {
            ')' if depth == 0 => {
                let trimmed = parameters.iter().map(|text| text.trim().to_owned());
                return Some(trimmed.collect());
            }
            '"' | '\'' => return None,
            ',' if depth == 0 => {
                parameters.push(String::new());
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        parameters.last_mut()?.push(letter);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_can_be_called_are_found() {
        for text in [
            "def load(path):\n    pass",
            "def load (path: str, *, mode=1) -> dict[str, int]:",
            "def load(\n    path,  # where it is\n    encoding=('a' if X else 'b'),\n):\n",
            "def load(*paths): pass",
            "def load(path=None, /, **more): pass",
            "def load(path: dict[str, int] = {}): pass",
            "def load(a, b):\n    pass\ndef load(path):\n    pass",
            "@with_settings\ndef load(settings, path): pass",
            "@with_settings(\n    'a.toml',\n)\n\n# as it is\nasync def load(a, b): pass",
            "load = joblib.load",
            "from weights import load, predict",
            "from weights import *",
            "if FAST:\n    def load(path): pass",
            "load: Callable = lambda path: path",
            "globals()['lo' + 'ad'] = open",
        ] {
            assert_eq!(check(text, LOAD), Ok(()), "{text}");
        }
        assert_eq!(check("def predict(model, input): pass", PREDICT), Ok(()));
        assert_eq!(check("def predict(model, input, top=3): pass", PREDICT), Ok(()));
    }

    #[test]
    fn what_is_seen_to_be_missing_is_said() {
        for text in [
            "",
            "import json\nmodel = json.load(open('m.json'))",
            "# def load(path):",
            "def loads(path): pass",
            "def reload(path): pass",
            "class M:\n    def load(self, path): pass",
        ] {
            assert_eq!(check(text, LOAD), Err("has no function load(path)".to_owned()), "{text}");
        }
        let missing = check("def load(path): pass", PREDICT);
        assert_eq!(missing, Err("has no function predict(model, input)".to_owned()));
    }

    #[test]
    fn functions_that_cannot_be_called_so_are_refused() {
        for (text, function) in [
            ("def load(): pass", LOAD),
            ("def load(path, mode): pass", LOAD),
            ("def load(path, *, mode): pass", LOAD),
            ("async def load(path): pass", LOAD),
            ("def predict(input): pass", PREDICT),
            ("def predict(model, input, top): pass", PREDICT),
        ] {
            let refused = check(text, function).unwrap_err();
            let called = format!("it is called as {}", function.called());
            assert!(refused.ends_with(&called), "{text}: {refused}");
        }
    }
}
