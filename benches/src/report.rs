//! Where figures go: a table for people, `bench/latest.json` in the target folder for programs.

use std::fs;
use std::io::{self, Write as _};

use anyhow::Context as _;

use crate::figure::Figure;

/// How figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    /// For a document.
    Markdown,
}

/// Prints the table and replaces the file. No figures leave the file as it is.
pub(crate) fn publish(figures: &[Figure], form: Form) -> anyhow::Result<()> {
    if figures.is_empty() {
        return Ok(());
    }
    let binary = std::env::current_exe()?;
    let target = binary.ancestors().nth(2).context("the binary is not in a target folder")?;
    let folder = target.join("bench");
    let file = folder.join("latest.json");
    let part = folder.join("latest.json.part");
    fs::create_dir_all(&folder)?;
    fs::write(&part, serde_json::to_vec_pretty(figures)?)?;
    fs::rename(&part, &file)?;
    let mut out = io::stdout().lock();
    match form {
        Form::Table => writeln!(out, "{}\nwritten to {}", table(figures), file.display())?,
        Form::Markdown => writeln!(out, "{}", markdown(figures))?,
    }
    Ok(())
}

/// Says on standard error what is being measured; nobody reading it is no reason to stop.
pub(crate) fn progress(text: &str) {
    drop(writeln!(io::stderr().lock(), "- {text}"));
}

fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
    let head = format!(
        "{:width$}  {:>9}  {:>9}  {:>22}  {:>6}  MET",
        "NAME", "VALUE", "FLOOR", "RATIO (MIN..MAX)", "GOAL"
    );
    let mut lines = vec![head];
    for figure in figures {
        let ratio = match (figure.ratio, figure.spread) {
            (Some(ratio), Some((least, greatest))) => {
                format!("{ratio:.3} ({least:.3}..{greatest:.3})")
            }
            (Some(ratio), None) => format!("{ratio:.3}"),
            (None, _) => String::new(),
        };
        lines.push(format!(
            "{:width$}  {:>9}  {:>9}  {ratio:>22}  {:>6}  {}",
            figure.name,
            shown(figure.value),
            figure.floor.map(shown).unwrap_or_default(),
            goal(figure),
            met(figure),
        ));
        if !figure.note.is_empty() {
            lines.push(format!("{:width$}    {}", "", figure.note));
        }
    }
    lines.join("\n")
}

fn markdown(figures: &[Figure]) -> String {
    let mut lines = vec![
        "| figure | value | floor | ratio (least to greatest) | goal | met | of |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for figure in figures {
        let ratio = match (figure.ratio, figure.spread) {
            (Some(ratio), Some((least, greatest))) => {
                format!("{ratio:.2} ({least:.2} to {greatest:.2})")
            }
            (Some(ratio), None) => format!("{ratio:.2}"),
            (None, _) => String::new(),
        };
        lines.push(format!(
            "| `{}` | {} | {} | {ratio} | {} | {} | {} |",
            figure.name,
            shown(figure.value),
            figure.floor.map(shown).unwrap_or_default(),
            goal(figure),
            met(figure),
            figure.note.replace('|', "/")
        ));
    }
    lines.join("\n")
}

fn goal(figure: &Figure) -> String {
    figure.goal.map(|number| number.to_string()).unwrap_or_default()
}

fn met(figure: &Figure) -> &'static str {
    match figure.met {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

fn shown(number: f64) -> String {
    if number.abs() >= 1000.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Goal;

    #[test]
    fn figures_with_and_without_a_floor_stand_in_one_table() {
        let figures = [
            Figure::of_pairs("deploy", &[(400.0, 320.0)], Goal::AtMost(1.3)),
            Figure::of_value("failed", 2.0, Goal::AtMost(0.0)).with_note("of 9000".to_owned()),
            Figure::of_pairs("peer", &[(4.0, 2.0)], Goal::Nowhere),
        ];
        let table = table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5, "{table}");
        assert!(lines[1].contains("1.250 (1.250..1.250)") && lines[1].ends_with("yes"), "{table}");
        assert!(lines[2].ends_with("no") && lines[3].ends_with("of 9000"), "{table}");
        let document = markdown(&figures);
        let rows: Vec<&str> = document.lines().collect();
        let first = "| `deploy` | 400.00 | 320.00 | 1.25 (1.25 to 1.25) | 1.3 | yes |  |";
        let last = "| `peer` | 4.00 | 2.00 | 2.00 (2.00 to 2.00) |  |  |  |";
        assert_eq!((rows.len(), rows[2], rows[4]), (5, first, last), "{document}");
    }
}
