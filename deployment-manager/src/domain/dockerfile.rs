//! The `Dockerfile` of a bundle: rendered from what was detected in it, and from nothing its author
//! could write. No line has a shell form.
//!
//! The build context has three parts: this file, `app/` with the bundle's files, and `build-env/`,
//! which the building node fills with how it reaches packages; only stages that are never pushed get it.

use common::port::container::label::{PLATFORM, STAGE};
use common::record::release::{BuildPlan, PythonDependencies, Runtime};

/// The images that bundles are built on, by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    pub python_builder: String,
    pub python: String,
    pub node_builder: String,
    pub node: String,
    pub static_site: String,
}

/// Renders the file; `command` is the plan's, substituted.
pub(crate) fn render(plan: &BuildPlan, command: &[String], images: &Images) -> String {
    match plan.runtime {
        Runtime::Python { dependencies } | Runtime::Model { dependencies } => {
            python(dependencies, command, images)
        }
        Runtime::Node { lock_file } => node(lock_file, command, images),
        Runtime::Static => format!("FROM {}\n{APP}", images.static_site),
    }
}

const APP: &str = "COPY --chown=10001:10001 app/ /app/\n";

/// Packages are installed before the code is there, so that new code finds them installed already.
fn python(dependencies: PythonDependencies, command: &[String], images: &Images) -> String {
    let (needed, install) = match dependencies {
        PythonDependencies::Requirements => {
            ("app/requirements.txt ./", &["--requirement", "requirements.txt"][..])
        }
        PythonDependencies::Project => ("app/ ./", &["."][..]),
        PythonDependencies::None => return last_stage(&images.python, "", command),
    };
    let install = exec(&[&["/venv/bin/pip", "install"], install].concat());
    let first = first_stage(&images.python_builder, needed, &install);
    first + &last_stage(&images.python, "COPY --from=builder /venv/ /venv/\n", command)
}

fn node(lock_file: bool, command: &[String], images: &Images) -> String {
    let (needed, install) = if lock_file {
        ("app/package.json app/package-lock.json ./", exec(&["npm", "ci", "--omit=dev"]))
    } else {
        ("app/package.json ./", exec(&["npm", "install", "--omit=dev"]))
    };
    let first = first_stage(&images.node_builder, needed, &install);
    let modules = "COPY --from=builder --chown=10001:10001 /build/ /app/\n";
    first + &last_stage(&images.node, modules, command)
}

/// Where packages are installed. Its label is how the node finds what it leaves behind.
fn first_stage(image: &str, needed: &str, install: &str) -> String {
    format!(
        "FROM {image} AS builder\nLABEL {PLATFORM}={STAGE}\nCOPY build-env/ /\nWORKDIR /build\nCOPY {needed}\nRUN {install}\n\n"
    )
}

fn last_stage(image: &str, packages: &str, command: &[String]) -> String {
    format!("FROM {image}\n{packages}{APP}CMD {}\n", exec(command))
}

/// The exec form: a JSON array of words.
fn exec<W: AsRef<str>>(words: &[W]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter if letter.is_control() => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn images() -> Images {
        let image = |name: &str| format!("registry.example.org/{name}:1");
        Images {
            python_builder: image("builder-python"),
            python: image("runtime-python"),
            node_builder: image("builder-node"),
            node: image("runtime-node"),
            static_site: image("runtime-static"),
        }
    }

    fn rendered(runtime: Runtime, command: &[&str]) -> String {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let plan = BuildPlan { runtime, root: String::new(), command: command.clone() };
        render(&plan, &command, &images())
    }

    #[test]
    fn a_python_app_with_requirements() {
        let runtime = Runtime::Python { dependencies: PythonDependencies::Requirements };
        expect![[r#"
            FROM registry.example.org/builder-python:1 AS builder
            LABEL avishkar.platform=stage
            COPY build-env/ /
            WORKDIR /build
            COPY app/requirements.txt ./
            RUN ["/venv/bin/pip", "install", "--requirement", "requirements.txt"]

            FROM registry.example.org/runtime-python:1
            COPY --from=builder /venv/ /venv/
            COPY --chown=10001:10001 app/ /app/
            CMD ["gunicorn", "--bind=0.0.0.0:8080", "main:app"]
        "#]]
        .assert_eq(&rendered(runtime, &["gunicorn", "--bind=0.0.0.0:8080", "main:app"]));
    }

    #[test]
    fn a_python_project() {
        let runtime = Runtime::Python { dependencies: PythonDependencies::Project };
        expect![[r#"
            FROM registry.example.org/builder-python:1 AS builder
            LABEL avishkar.platform=stage
            COPY build-env/ /
            WORKDIR /build
            COPY app/ ./
            RUN ["/venv/bin/pip", "install", "."]

            FROM registry.example.org/runtime-python:1
            COPY --from=builder /venv/ /venv/
            COPY --chown=10001:10001 app/ /app/
            CMD ["shop"]
        "#]]
        .assert_eq(&rendered(runtime, &["shop"]));
    }

    #[test]
    fn a_python_script() {
        let runtime = Runtime::Python { dependencies: PythonDependencies::None };
        expect![[r#"
            FROM registry.example.org/runtime-python:1
            COPY --chown=10001:10001 app/ /app/
            CMD ["python3", "main.py"]
        "#]]
        .assert_eq(&rendered(runtime, &["python3", "main.py"]));
    }

    #[test]
    fn a_model_is_built_as_a_python_app_is() {
        let command = ["python", "/usr/local/lib/avishkar/serve_model", "--file", "m.pkl"];
        for dependencies in [
            PythonDependencies::Requirements,
            PythonDependencies::Project,
            PythonDependencies::None,
        ] {
            let model = rendered(Runtime::Model { dependencies }, &command);
            assert_eq!(model, rendered(Runtime::Python { dependencies }, &command));
            assert!(model.contains("runtime-python:1\n"), "{model}");
        }
    }

    #[test]
    fn a_node_app_with_a_lock_file() {
        expect![[r#"
            FROM registry.example.org/builder-node:1 AS builder
            LABEL avishkar.platform=stage
            COPY build-env/ /
            WORKDIR /build
            COPY app/package.json app/package-lock.json ./
            RUN ["npm", "ci", "--omit=dev"]

            FROM registry.example.org/runtime-node:1
            COPY --from=builder --chown=10001:10001 /build/ /app/
            COPY --chown=10001:10001 app/ /app/
            CMD ["node", "server.js"]
        "#]]
        .assert_eq(&rendered(Runtime::Node { lock_file: true }, &["node", "server.js"]));
    }

    #[test]
    fn a_static_site_starts_by_itself() {
        expect![[r"
            FROM registry.example.org/runtime-static:1
            COPY --chown=10001:10001 app/ /app/
        "]]
        .assert_eq(&rendered(Runtime::Static, &[]));
    }

    proptest! {
        #[test]
        fn the_exec_form_is_one_line_of_json_with_the_same_words(words: Vec<String>) {
            let line = exec(&words);
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&line).unwrap(), words);
        }
    }
}
