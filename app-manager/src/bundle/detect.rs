//! What an app is: Python, Node or a static site, and how it starts.

mod node;
mod python;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use common::record::release::{BuildPlan, PythonDependencies, Runtime};

use super::json;
use super::procfile;

/// How large a file may be that is read to find out.
pub(super) const LARGEST: u64 = 256 * 1024;

/// What the bundle's root holds, as far as detection wants to know.
pub(super) trait Root {
    /// Whether there is this file, by its path below the root.
    fn has(&self, path: &str) -> bool;
    /// How many bytes it has; none if there is no such file.
    fn size(&mut self, path: &str) -> Option<u64>;
    /// Its content; none if there is no such file, or it is larger than is sensible.
    fn content(&mut self, path: &str) -> Option<Vec<u8>>;
    /// The folders directly below the root.
    fn folders(&self) -> BTreeSet<String>;
    /// Whether the app will have this variable when its command is made.
    fn has_variable(&self, name: &str) -> bool;
}

/// Why no plan could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Procfile(#[from] procfile::Error),
    #[error("package.json, {0}")]
    Package(json::Error),
    /// A sentence for people: what was looked for, or what is missing.
    #[error("{0}")]
    Unrecognised(String),
}

/// Makes the plan for the files below a root. The plan's `root` is left empty.
pub(super) fn plan(root: &mut dyn Root) -> Result<BuildPlan, Error> {
    let command = match root.content("Procfile") {
        Some(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Some(procfile::web_command(&text, &|name| root.has_variable(name))?)
        }
        None => None,
    };
    if let Some(dependencies) = python::dependencies(root) {
        let runtime = Runtime::Python { dependencies };
        let command = match command {
            Some(command) => command,
            None => python::command(root)?,
        };
        return Ok(BuildPlan { runtime, root: String::new(), command });
    }
    if root.has("package.json") {
        return node::plan(root, command);
    }
    if root.has("index.html") && command.is_none() {
        return Ok(static_site());
    }
    Err(Error::Unrecognised(
        "it has none of requirements.txt, pyproject.toml, main.py, package.json, index.html"
            .to_owned(),
    ))
}

/// Where the packages are declared that Python code needs; none where that cannot be told.
pub(super) fn declared(root: &dyn Root) -> Option<PythonDependencies> {
    python::dependencies(root)
}

fn static_site() -> BuildPlan {
    BuildPlan { runtime: Runtime::Static, root: String::new(), command: Vec::new() }
}

/// Words as a command holds them.
fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
