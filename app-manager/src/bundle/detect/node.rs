//! Node apps: how they start, without npm and without a shell.

use common::record::release::{BuildPlan, Runtime};
use serde::Deserialize;

use super::{Error, Root, static_site, words};
use crate::bundle::{json, procfile};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    main: Option<String>,
    scripts: Scripts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scripts {
    start: Option<String>,
}

pub(super) fn plan(root: &mut dyn Root, command: Option<Vec<String>>) -> Result<BuildPlan, Error> {
    let content = root.content("package.json").unwrap_or_default();
    let package: Package = json::read(&content).map_err(Error::Package)?;
    let lock_file = root.has("package-lock.json");
    let command = match command {
        Some(command) => Some(command),
        None => command_of(root, &package)?,
    };
    let command = match command {
        Some(command) => command,
        None if root.has("index.html") => return Ok(static_site()),
        None => {
            return Err(Error::Unrecognised(
                "it is a Node app, but package.json has no \"start\" script and there is no \
                 server.js, index.js or app.js"
                    .to_owned(),
            ));
        }
    };
    Ok(BuildPlan { runtime: Runtime::Node { lock_file }, root: String::new(), command })
}

/// How a Node app starts that does not say it in a Procfile. Where it runs there is no npm and no shell:
/// the program that the script names is started itself.
fn command_of(root: &dyn Root, package: &Package) -> Result<Option<Vec<String>>, Error> {
    if let Some(start) = &package.scripts.start {
        let words = procfile::words(start, &|name| root.has_variable(name));
        return Ok(Some(started_directly(words).map_err(|why| {
            Error::Unrecognised(format!(
                "the \"start\" script of package.json cannot be used ({why}): say how it starts in a \
                 Procfile, web: node server.js"
            ))
        })?));
    }
    let main = package.main.as_deref().map(|main| main.strip_prefix("./").unwrap_or(main));
    let main = main.filter(|main| root.has(main) && !main.starts_with('-'));
    let file = main
        .or_else(|| ["server.js", "index.js", "app.js"].into_iter().find(|file| root.has(file)));
    Ok(file.map(|file| words(&["node", file])))
}

/// `node` is there by itself, other programs are those of installed packages.
fn started_directly(words: Result<Vec<String>, String>) -> Result<Vec<String>, String> {
    let mut words = words?;
    match words.first_mut() {
        Some(program) if matches!(program.as_str(), "npm" | "npx" | "yarn" | "pnpm") => {
            Err(format!("there is no {program} where the app runs"))
        }
        Some(program) if program != "node" && !program.contains('/') => {
            *program = format!("./node_modules/.bin/{program}");
            Ok(words)
        }
        Some(_) | None => Ok(words),
    }
}
