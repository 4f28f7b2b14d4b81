//! The files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders that hold nothing anybody wrote.
const SKIPPED: [&str; 4] = ["target", ".git", ".cluster", "node_modules"];

/// Every file with its text, by its path from the top of the repository.
pub(super) struct Tree {
    files: BTreeMap<String, File>,
}

/// A file; without text if it is not UTF-8.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: Option<String>,
}

impl Tree {
    /// The repository this test belongs to.
    pub(super) fn read() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut tree = Tree { files: BTreeMap::new() };
        tree.walk(top, "");
        assert!(tree.has("Cargo.toml"), "{} is not the top of the repository", top.display());
        tree
    }

    /// A tree of these files, to try a rule on.
    pub(super) fn planted(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| {
            let file = File { path: (*path).to_owned(), text: Some((*text).to_owned()) };
            (file.path.clone(), file)
        };
        Tree { files: files.iter().map(file).collect() }
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.walk(&entry.path(), &format!("{prefix}{name}/"));
            } else if kind.is_file() {
                // Others may be at work in the tree: a file that is gone by now is no file of it.
                let Ok(bytes) = fs::read(entry.path()) else { continue };
                let path = format!("{prefix}{name}");
                let file = File { path: path.clone(), text: String::from_utf8(bytes).ok() };
                self.files.insert(path, file);
            }
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether a file or a folder of this path exists.
    pub(super) fn has_entry(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty() || self.has(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }

    /// Every file that is text: its path and its text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.values().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// The text files whose names end so.
    pub(super) fn ending<'a>(
        &'a self,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.texts().filter(move |(path, _)| path.ends_with(end))
    }

    /// The text files of a folder, `docs/` for instance.
    pub(super) fn within<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.texts().filter(move |(path, _)| path.starts_with(folder))
    }
}
