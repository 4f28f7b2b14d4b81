//! Documents: links that lead somewhere, decisions in one form.

use super::none;
use super::tree::Tree;

/// What every decision in `docs/adr/` says, in this order.
const DECISION: [&str; 5] =
    ["## Summary", "## Motivation", "## Non goals", "## Failure modes", "## Alternatives"];

/// The targets of a document's links and pictures; code is no link.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose = line.split('`').step_by(2);
        for part in prose.flat_map(|part| part.split("](").skip(1)) {
            links.extend(part.split_once(')').map(|(target, _)| (number, target)));
        }
    }
    links
}

/// The path from the top of the repository that a relative link leads to; none if it leaves it.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', ' ']).next().unwrap_or_default();
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

fn dead_links(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in links(text) {
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            let within = target.starts_with('#');
            let leads = resolve(path, target).is_some_and(|to| tree.has_entry(&to));
            if !elsewhere && !within && !leads {
                offences.push(format!("{path}:{line} links to {target}, which is not there"));
            }
        }
    }
    offences
}

fn decisions(tree: &Tree) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in tree.within("docs/adr/").filter(|(path, _)| !path.ends_with("README.md")) {
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if headings != DECISION {
            offences.push(format!("{path} has the parts {headings:?}"));
        }
        if !is_dated(path) {
            offences.push(format!("{path} is not called YYYY-MM-DD-title.md"));
        }
    }
    offences
}

fn is_dated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let shape = |(letter, wanted): (u8, u8)| match wanted {
        b'0' => letter.is_ascii_digit(),
        _ => letter == wanted,
    };
    let titled = name.strip_suffix(".md").is_some_and(|name| name.len() > "0000-00-00-".len());
    titled && name.bytes().zip(*b"0000-00-00-").all(shape)
}

#[test]
fn every_relative_link_leads_somewhere() {
    none(&dead_links(&Tree::read()));
}

#[test]
fn every_decision_has_a_date_and_the_five_parts() {
    none(&decisions(&Tree::read()));
}

#[test]
fn planted_links_and_decisions_are_found() {
    let tree = Tree::planted(&[
        (
            "docs/a.md",
            "[one](b.md#x) [two](../gone.md) `[three](gone)` [four](https://example.org/)\n\
             ```\n[five](gone)\n```\n[six](#here) ![seven](../../up.png) [eight](..)\n",
        ),
        ("docs/b.md", ""),
        ("docs/adr/README.md", "## Any"),
        ("docs/adr/soon.md", "## Summary\n"),
    ]);
    assert_eq!(
        dead_links(&tree),
        [
            "docs/a.md:1 links to ../gone.md, which is not there",
            "docs/a.md:5 links to ../../up.png, which is not there",
        ]
    );
    assert_eq!(decisions(&tree).len(), 2);
}
