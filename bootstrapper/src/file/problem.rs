//! What is wrong with a file: where, what, and what to do.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in letters.
    pub column: usize,
    /// As `machines[0].address`; empty for what is no TOML.
    pub key: String,
    /// One clause.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.hint)
    }
}

/// All mistakes of one file.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    text: &'a str,
    found: RefCell<Vec<Problem>>,
    /// What could not be parsed may be what is missing.
    is_whole: bool,
}

impl<'a> Problems<'a> {
    pub(super) fn of(text: &'a str, is_whole: bool) -> Self {
        Problems { text, found: RefCell::default(), is_whole }
    }

    pub(super) fn add(&self, span: Range<usize>, key: &str, message: String, hint: String) {
        let (line, column) = place(self.text, span.start);
        let key = key.to_owned();
        self.found.borrow_mut().push(Problem { line, column, key, message, hint });
    }

    /// What should be there and is not.
    pub(super) fn missing(&self, span: Range<usize>, key: &str, hint: String) {
        if self.is_whole {
            self.add(span, key, "it is missing".to_owned(), hint);
        }
    }

    /// In the order of the file.
    pub(super) fn into_list(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        found
    }

    pub(super) fn line_of(&self, span: &Range<usize>) -> usize {
        place(self.text, span.start).0
    }
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(begin..).unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_letters() {
        let text = "a = 1\nß = 2\n";
        assert_eq!((place(text, 0), place(text, 4)), ((1, 1), (1, 5)));
        assert_eq!((place(text, 6), place(text, 11)), ((2, 1), (2, 5)));
        assert_eq!(place(text, 1000), (3, 1));
    }
}
