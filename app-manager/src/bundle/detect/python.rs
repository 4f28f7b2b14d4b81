//! Python apps: what they depend on, and how they start.

use std::collections::BTreeSet;

use common::record::release::PythonDependencies;
use serde::Deserialize;

use super::{Error, Root, words};

pub(super) fn dependencies(root: &dyn Root) -> Option<PythonDependencies> {
    if root.has("requirements.txt") {
        Some(PythonDependencies::Requirements)
    } else if root.has("pyproject.toml") {
        Some(PythonDependencies::Project)
    } else {
        root.has("main.py").then_some(PythonDependencies::None)
    }
}

/// How a Python app starts that does not say it: by the server it depends on, else by its main file.
pub(super) fn command(root: &mut dyn Root) -> Result<Vec<String>, Error> {
    let packages = packages(root);
    let has = |name: &str| packages.contains(name);
    let module = ["main", "app"].into_iter().find(|name| root.has(&format!("{name}.py")));
    if let Some(module) = module {
        let app = format!("{module}:app");
        if has("uvicorn") {
            return Ok(words(&["uvicorn", &app, "--host", "0.0.0.0", "--port", "$PORT"]));
        }
        if has("gunicorn") {
            return Ok(words(&["gunicorn", "--bind", "0.0.0.0:$PORT", &app]));
        }
        if has("flask") {
            return Ok(words(&[
                "flask", "--app", module, "run", "--host", "0.0.0.0", "--port", "$PORT",
            ]));
        }
    }
    let folders = root.folders();
    let wsgi = folders.iter().find(|folder| root.has(&format!("{folder}/wsgi.py")));
    if let Some(folder) = wsgi.filter(|_| has("gunicorn")) {
        let app = format!("{folder}.wsgi:application");
        return Ok(words(&["gunicorn", "--bind", "0.0.0.0:$PORT", &app]));
    }
    if root.has("manage.py") && has("django") {
        return Ok(words(&["python", "manage.py", "runserver", "0.0.0.0:$PORT"]));
    }
    match module {
        Some(module) => Ok(words(&["python", &format!("{module}.py")])),
        None => Err(Error::Unrecognised(
            "it is a Python app, but it has no main.py or app.py: say how it starts in a Procfile, \
             web: gunicorn package:app"
                .to_owned(),
        )),
    }
}

/// The names of the packages an app depends on, as far as they can be told without resolving them.
fn packages(root: &mut dyn Root) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(bytes) = root.content("requirements.txt") {
        for line in String::from_utf8_lossy(&bytes).lines() {
            note_package(line, &mut names);
        }
    }
    if let Some(bytes) = root.content("pyproject.toml") {
        let project = toml::from_slice::<PyProject>(&bytes).unwrap_or_default();
        for line in project.project.dependencies {
            note_package(&line, &mut names);
        }
    }
    names
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PyProject {
    project: PyProjectTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PyProjectTable {
    dependencies: Vec<String>,
}

/// Notes the package of a requirement such as `Flask>=3.0 ; python_version > "3.8"`.
fn note_package(requirement: &str, names: &mut BTreeSet<String>) {
    let requirement = requirement.trim();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name: String = requirement.chars().take_while(|letter| is_name(*letter)).collect();
    let extras = requirement.get(name.len()..).unwrap_or_default().trim_start();
    let name = name.to_ascii_lowercase();
    // These extras bring the server that FastAPI itself does not.
    if name == "fastapi" && ["[standard]", "[all]"].iter().any(|extra| extras.starts_with(extra)) {
        names.insert("uvicorn".to_owned());
    }
    names.insert(name);
}
