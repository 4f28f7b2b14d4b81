//! Rust as far as the rules need it: code without comments and texts, and the texts by themselves.

use std::iter::Peekable;
use std::str::Chars;

/// A source file taken apart. Line numbers begin with 1.
pub(super) struct Source {
    /// The code; comments and the insides of texts are blanks, so that lines stay where they are.
    pub(super) code: String,
    pub(super) literals: Vec<Literal>,
}

/// A text in the code.
pub(super) struct Literal {
    pub(super) line: usize,
    pub(super) text: String,
    /// The code right before it, without blanks: `Problem::new(422,` for instance.
    pub(super) before: String,
}

/// Takes a file apart.
pub(super) fn read(text: &str) -> Source {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
        source: Source { code: String::with_capacity(text.len()), literals: Vec::new() },
    };
    while let Some(letter) = reader.take() {
        match letter {
            '/' if reader.rest.peek() == Some(&'/') => reader.line_comment(),
            '/' if reader.rest.peek() == Some(&'*') => reader.block_comment(),
            '"' => reader.text(),
            'r' if reader.begins_word() => reader.raw_text(),
            '\'' => reader.letter_or_lifetime(),
            other => reader.source.code.push(other),
        }
    }
    reader.source
}

/// The file up to its unit tests.
pub(super) fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code)
}

/// Whether a file of `src/` holds unit tests only.
pub(super) fn holds_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every identifier of the code, with its line.
pub(super) fn identifiers(code: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(code.lines()).flat_map(|(number, line)| {
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .filter(|word| word.starts_with(|first: char| first.is_alphabetic() || first == '_'))
            .map(move |word| (number, word))
    })
}

/// An identifier's words in lower case: `HostPort2` and `host_port2` are both `host`, `port2`.
pub(super) fn words(identifier: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in identifier.split('_').filter(|part| !part.is_empty()) {
        let mut after_small = false;
        words.push(String::new());
        for letter in part.chars() {
            if letter.is_uppercase() && after_small {
                words.push(String::new());
            }
            after_small = !letter.is_uppercase();
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
    }
    words
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    source: Source,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let letter = self.rest.next()?;
        if letter == '\n' {
            self.line += 1;
        }
        Some(letter)
    }

    /// Takes a letter that is no code; lines stay.
    fn skip(&mut self) -> Option<char> {
        let letter = self.take()?;
        self.source.code.push(if letter == '\n' { '\n' } else { ' ' });
        Some(letter)
    }

    /// Whether an `r` that was just taken may begin a raw text: `r"`, `r#"`, `br"`.
    fn begins_word(&mut self) -> bool {
        let mut before = self.source.code.chars().rev();
        let first = match before.next() {
            Some('b' | 'c') => before.next(),
            other => other,
        };
        let apart = !first.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        let mut ahead = self.rest.clone().skip_while(|letter| *letter == '#');
        apart && ahead.next() == Some('"')
    }

    fn line_comment(&mut self) {
        while self.rest.peek().is_some_and(|letter| *letter != '\n') {
            self.skip();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 1;
        self.skip();
        while depth > 0 {
            match self.skip() {
                Some('*') if self.rest.peek() == Some(&'/') => {
                    depth -= 1;
                    self.skip();
                }
                Some('/') if self.rest.peek() == Some(&'*') => {
                    depth += 1;
                    self.skip();
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn text(&mut self) {
        let (line, before) = self.open();
        let mut text = String::new();
        while let Some(letter) = self.skip() {
            match letter {
                '"' => break,
                '\\' => text.extend(self.skip()),
                other => text.push(other),
            }
        }
        self.close(line, text, before);
    }

    fn raw_text(&mut self) {
        let (line, before) = self.open();
        let mut hashes = 0;
        while self.rest.peek() == Some(&'#') {
            self.skip();
            hashes += 1;
        }
        self.skip();
        let end = format!("\"{}", "#".repeat(hashes));
        let mut text = String::new();
        while let Some(letter) = self.skip() {
            text.push(letter);
            if text.ends_with(&end) {
                text.truncate(text.len() - end.len());
                break;
            }
        }
        self.close(line, text, before);
    }

    fn open(&mut self) -> (usize, String) {
        let code = self.source.code.trim_end();
        let tail: String = code.chars().rev().take(80).filter(|c| !c.is_whitespace()).collect();
        let before = tail.chars().rev().collect();
        self.source.code.push('"');
        (self.line, before)
    }

    fn close(&mut self, line: usize, text: String, before: String) {
        self.source.code.push('"');
        self.source.literals.push(Literal { line, text, before });
    }

    /// `'x'` and `'\n'` are letters, `'a` is a lifetime.
    fn letter_or_lifetime(&mut self) {
        let mut ahead = self.rest.clone();
        let first = ahead.next();
        if first == Some('\\') || ahead.next() == Some('\'') {
            while let Some(letter) = self.skip() {
                match letter {
                    '\\' => drop(self.skip()),
                    '\'' => break,
                    _ => {}
                }
            }
        } else {
            self.source.code.push('\'');
        }
    }
}

#[test]
fn comments_and_texts_are_no_code() {
    let source = read(concat!(
        "let a = f(422, \"one \\\" // two\"); // three\n",
        "/* four /* five */ six */ let b: &'static str = r#\"se\"ven\"#; let c = '\"';\n",
    ));
    let code: Vec<&str> = identifiers(&source.code).map(|(_, word)| word).collect();
    assert_eq!(code, ["let", "a", "f", "let", "b", "static", "str", "let", "c"]);
    let texts: Vec<&str> = source.literals.iter().map(|literal| literal.text.as_str()).collect();
    assert_eq!(texts, ["one \" // two", "se\"ven"]);
    let lines: Vec<usize> = source.literals.iter().map(|literal| literal.line).collect();
    assert_eq!(lines, [1, 2]);
    assert_eq!(source.literals.first().map(|first| first.before.as_str()), Some("leta=f(422,"));
}

#[test]
fn an_identifier_has_words() {
    assert_eq!(words("HostPort"), ["host", "port"]);
    assert_eq!(words("_host_port2"), ["host", "port2"]);
    assert_eq!(words("MAX_OPS"), ["max", "ops"]);
}
