//! Paths: only such as mean the same on every machine, and stay inside the bundle.

use std::collections::{BTreeMap, BTreeSet};

use common::problem::excerpt;

use super::entry::Entry;
use super::{Error, Limits};

/// Checks the paths of all entries; returns those of the files with their places in the archive.
pub(super) fn check(
    paths: &[String],
    entries: &[Entry],
    limits: &Limits,
) -> Result<BTreeMap<String, usize>, Error> {
    let mut files = BTreeMap::new();
    let mut folded = BTreeSet::new();
    for (index, (path, entry)) in paths.iter().zip(entries).enumerate() {
        check_one(path, limits)?;
        let bare = path.strip_suffix('/').unwrap_or(path);
        if path.ends_with('/') != entry.is_folder() {
            return Err(Error::Malformed(format!("{} is both file and folder", shown(path))));
        }
        if !folded.insert(fold(bare)) {
            return Err(Error::Malformed(format!(
                "{} stands twice in the archive, or differs from another only in case",
                shown(path)
            )));
        }
        if !entry.is_folder() {
            files.insert(path.clone(), index);
        }
    }
    check_parents(paths, &files)?;
    Ok(files)
}

/// A first look at the names as they stand in the archive: what leads out is said so, whatever else is
/// wrong with it.
pub(super) fn check_names(entries: &[Entry], limits: &Limits) -> Result<(), Error> {
    let names = entries.iter().filter_map(|entry| std::str::from_utf8(&entry.name).ok());
    names.into_iter().try_for_each(|name| check_one(name, limits))
}

fn shown(path: &str) -> String {
    format!("\"{}\"", excerpt(path))
}

/// The same for all spellings that a file system which ignores case would take for one.
fn fold(path: &str) -> String {
    path.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// No file may be another's folder, in any spelling.
fn check_parents(paths: &[String], files: &BTreeMap<String, usize>) -> Result<(), Error> {
    let files: BTreeSet<String> = files.keys().map(|path| fold(path)).collect();
    for path in paths {
        let folded = fold(path.strip_suffix('/').unwrap_or(path));
        let parents = folded.match_indices('/').filter_map(|(end, _)| folded.get(..end));
        for parent in parents {
            if files.contains(parent) {
                return Err(Error::Malformed(format!("{} is a file and a folder", shown(parent))));
            }
        }
    }
    Ok(())
}

fn check_one(path: &str, limits: &Limits) -> Result<(), Error> {
    let escape = |why: &str| Err(Error::PathEscape(format!("{} {why}", shown(path))));
    let bare = path.strip_suffix('/').unwrap_or(path);
    if bare.split('/').count() > limits.depth {
        return Err(Error::TooManyEntries(format!(
            "{} is more than {} folders deep",
            shown(path),
            limits.depth
        )));
    }
    if path.contains('\\') {
        return escape("has a backslash");
    }
    if path.starts_with('/') || has_drive(path) {
        return escape("is an absolute path");
    }
    if bare.split('/').any(|part| part.bytes().all(|byte| byte == b'.')) {
        return escape("has a part that is empty or only dots");
    }
    if let Some(letter) = path.chars().find(|letter| deceives(*letter)) {
        return Err(Error::EntryForbidden(format!(
            "{} has a character that is not taken in names, U+{:04X}",
            shown(path),
            u32::from(letter)
        )));
    }
    if path.len() > limits.path_bytes {
        return Err(Error::Malformed(format!(
            "{} is longer than {} bytes",
            shown(path),
            limits.path_bytes
        )));
    }
    Ok(())
}

fn has_drive(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && letters.next() == Some(':')
}

/// Characters that are not seen, turn text around, or let one name be written in two ways.
fn deceives(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}'
            // Combining marks: composed names have none.
            | '\u{0300}'..='\u{036f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str) -> Option<&'static str> {
        match check_one(path, &Limits::default()) {
            Ok(()) => None,
            Err(Error::PathEscape(_)) => Some("escape"),
            Err(Error::EntryForbidden(_)) => Some("forbidden"),
            Err(Error::TooManyEntries(_)) => Some("too many"),
            Err(Error::Malformed(_)) => Some("malformed"),
            Err(err) => panic!("{err:?}"),
        }
    }

    #[test]
    fn ordinary_paths_are_taken() {
        for path in
            ["main.py", "a/b/c.txt", "folder/", ".env.example", "a b.txt", "naïve.py", "..a"]
        {
            assert_eq!(refusal(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in [
            "../../evil",
            "/abs",
            "C:\\x",
            "C:x",
            "a\\..\\..\\b",
            "....//",
            "a/../b",
            "./a",
            "a//b",
            "..",
            "",
            "/",
            "a/..",
            "...",
        ] {
            assert_eq!(refusal(path), Some("escape"), "{path:?}");
        }
    }

    #[test]
    fn paths_that_deceive_are_refused() {
        for path in
            ["a\nb", "a\0b", "exe\u{202e}gpj", "zero\u{200b}width", "e\u{301}.py", "\u{1b}[31m"]
        {
            assert_eq!(refusal(path), Some("forbidden"), "{path:?}");
        }
    }

    #[test]
    fn depth_and_length_have_bounds() {
        assert_eq!(refusal(&"a/".repeat(20)), None);
        assert_eq!(refusal(&"a/".repeat(21)), Some("too many"));
        assert_eq!(refusal(&"a".repeat(240)), None);
        assert_eq!(refusal(&"a".repeat(241)), Some("malformed"));
    }
}
