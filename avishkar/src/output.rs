//! What is printed: text for people, or JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::failure::Failure;

/// Where answers and progress go. Answers go to standard output, progress to standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// An answer: `text` for people, `value` for programs.
    pub(crate) fn answer<T: Serialize>(self, value: &T, text: &str) -> anyhow::Result<()> {
        if self.json {
            Self::line(&serde_json::to_string(value)?)
        } else {
            Self::line(text.trim_end())
        }
    }

    /// One line as it comes.
    pub(crate) fn line(text: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Err(Failure::NobodyReads.into()),
            written => Ok(written?),
        }
    }

    /// What is being waited for. On a terminal lines carry a mark; programs get nothing.
    pub(crate) fn progress(self, text: &str) {
        if !self.json {
            let mark = if io::stderr().is_terminal() { "\u{2026}" } else { "-" };
            // Progress that nobody reads is no reason to stop.
            drop(writeln!(io::stderr().lock(), "{mark} {text}"));
        }
    }
}

/// Columns of text, each as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            [vec!["shop".to_owned(), "deployed".to_owned()], vec!["a".to_owned(), "x".to_owned()]];
        expect_test::expect![[r"
            NAME  STATE
            shop  deployed
            a     x"]]
        .assert_eq(&table(&["NAME", "STATE"], &rows));
    }
}
