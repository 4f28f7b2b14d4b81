//! What is found in bundles of every kind.

use std::collections::BTreeMap;

use common::record::release::{PythonDependencies, Runtime};

use super::*;

struct Files<'a>(BTreeMap<&'a str, &'a str>);

impl Root for Files<'_> {
    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn size(&mut self, path: &str) -> Option<u64> {
        self.0.get(path).map(|text| text.len() as u64)
    }

    fn content(&mut self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).map(|text| text.as_bytes().to_vec())
    }

    fn has_variable(&self, name: &str) -> bool {
        name == "PORT"
    }

    fn folders(&self) -> BTreeSet<String> {
        self.0.keys().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect()
    }
}

fn detect(files: &[(&str, &str)]) -> Result<(Runtime, String), Error> {
    let plan = plan(&mut Files(files.iter().copied().collect()))?;
    Ok((plan.runtime, plan.command.join(" ")))
}

#[test]
fn python_apps_start_by_the_server_they_depend_on() {
    let requirements = Runtime::Python { dependencies: PythonDependencies::Requirements };
    for (file, lines, command) in [
        (
            "main.py",
            "fastapi==0.121.0\nuvicorn==0.38.0\n",
            "uvicorn main:app --host 0.0.0.0 --port $PORT",
        ),
        ("main.py", "fastapi[standard]", "uvicorn main:app --host 0.0.0.0 --port $PORT"),
        ("app.py", "Flask>=3\ngunicorn", "gunicorn --bind 0.0.0.0:$PORT app:app"),
        (
            "app.py",
            "# web\nFlask ; python_version > '3'\n",
            "flask --app app run --host 0.0.0.0 --port $PORT",
        ),
        ("main.py", "requests\n", "python main.py"),
        ("main.py", "", "python main.py"),
        ("app.py", "flask-cors\n", "python app.py"),
        ("manage.py", "Django\n", "python manage.py runserver 0.0.0.0:$PORT"),
    ] {
        let found = detect(&[(file, ""), ("requirements.txt", lines)]);
        assert_eq!(found, Ok((requirements, command.to_owned())), "{lines}");
    }
}

#[test]
fn python_without_requirements_is_python_too() {
    let bare = Runtime::Python { dependencies: PythonDependencies::None };
    assert_eq!(detect(&[("main.py", "")]), Ok((bare, "python main.py".to_owned())));
    let project = Runtime::Python { dependencies: PythonDependencies::Project };
    let toml = "[project]\nname = \"x\"\ndependencies = [\"uvicorn~=0.3\"]\n";
    assert_eq!(
        detect(&[("main.py", ""), ("pyproject.toml", toml)]),
        Ok((project, "uvicorn main:app --host 0.0.0.0 --port $PORT".to_owned()))
    );
    assert!(detect(&[("main.py", ""), ("pyproject.toml", "not toml [")]).is_ok());
}

#[test]
fn a_procfile_comes_first() {
    let found =
        detect(&[("requirements.txt", "flask"), ("Procfile", "web: python -m shop --port $PORT")]);
    assert_eq!(found.unwrap().1, "python -m shop --port $PORT");
    let refused = detect(&[("main.py", ""), ("Procfile", "web: a; b")]);
    assert!(matches!(refused, Err(Error::Procfile(procfile::Error { line: 1, .. }))));
}

#[test]
fn node_apps_start_by_their_script_or_main_file() {
    let with = |package: &'static str, file: &'static str| {
        detect(&[("package.json", package), (file, "")])
    };
    let node = |lock_file| Runtime::Node { lock_file };
    for (package, file, lock_file, command) in [
        (
            r#"{"scripts": {"start": "node server.js --port 1"}}"#,
            "x",
            false,
            "node server.js --port 1",
        ),
        (
            r#"{"scripts": {"start": "next start -p $PORT"}}"#,
            "package-lock.json",
            true,
            "./node_modules/.bin/next start -p $PORT",
        ),
        (r#"{"main": "lib/app.js"}"#, "lib/app.js", false, "node lib/app.js"),
        (r#"{"main": "missing.js"}"#, "index.js", false, "node index.js"),
        ("{}", "server.js", false, "node server.js"),
    ] {
        assert_eq!(with(package, file), Ok((node(lock_file), command.to_owned())), "{package}");
    }
    assert!(matches!(with("{", "index.js"), Err(Error::Package(_))));
    for script in
        ["NODE_ENV=production node x", "a && b", "npm run x", "npx serve", "node $UNKNOWN", ""]
    {
        let package = format!("{{\"scripts\": {{\"start\": \"{script}\"}}}}");
        let files = [("package.json", package.as_str()), ("server.js", "")];
        assert!(matches!(detect(&files), Err(Error::Unrecognised(_))), "{script}");
    }
}

#[test]
fn a_site_is_files_around_an_index() {
    assert_eq!(detect(&[("index.html", "")]), Ok((Runtime::Static, String::new())));
    assert_eq!(
        detect(&[("index.html", ""), ("package.json", "{}")]),
        Ok((Runtime::Static, String::new()))
    );
}

#[test]
fn what_is_not_recognised_is_told_what_was_looked_for() {
    for files in
        [&[("notes.txt", "")][..], &[], &[("requirements.txt", "flask")], &[("package.json", "{}")]]
    {
        assert!(matches!(detect(files), Err(Error::Unrecognised(_))), "{files:?}");
    }
}
