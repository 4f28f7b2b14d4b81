//! Models: a file and a contract in Python, which a program of the platform serves. What `[model]` of
//! `avishkar.toml` says is checked here, as far as it can be seen without running anything.

mod contract;

use common::record::release::{BuildPlan, PythonDependencies, Runtime};
use serde::Deserialize;
use toml::Spanned;

use super::detect::{self, Root};

/// Where the program that serves models answers when the model is loaded.
pub(crate) const HEALTH: &str = "/health";
/// In the image that Python apps run in: `docker/runtime-python`.
const PROGRAM: &str = "/usr/local/lib/avishkar/serve_model";
const CONTRACT: &str = "model.py";
const LONGEST_NAME: usize = 200;
const BODY_BYTES: i64 = 1024 * 1024;
const MOST_BODY_BYTES: i64 = 16 * 1024 * 1024;
/// A body of empty lists in lists takes 51 times its size when it is parsed, beside twelve times its size of bodies that arrive
/// or wait: a replica takes 64 at most (`docker/runtime-python/serve_model`), of half of its memory.
const MEMORY_OF_A_BODY: u64 = 128;
const TIMEOUT_SECONDS: i64 = 30;
const LONGEST_TIMEOUT: i64 = 600;

/// `[model]`, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    file: Spanned<String>,
    contract: Option<Spanned<String>>,
    max_body_bytes: Option<Spanned<i64>>,
    timeout_seconds: Option<Spanned<i64>>,
}

/// What is served, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// The model's file below the bundle's root.
    pub(crate) file: String,
    pub(crate) contract: String,
    /// None where nothing is said: as much as usual, or as the memory can carry.
    max_body_bytes: Option<i64>,
    timeout_seconds: i64,
}

/// What is wrong with a key of `[model]`, and where the key's value begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) start: usize,
    pub(crate) what: What,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Name(String),
    Number(String),
}

/// Why a bundle is no model that could be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("avishkar.toml names {0} as the model, and there is no such file")]
    FileMissing(String),
    #[error("{file} has {size} bytes, and a replica may take {limit} bytes of memory")]
    FileTooLarge { file: String, size: u64, limit: u64 },
    #[error("max_body_bytes is {body}, and with {memory} bytes of memory it may be {most} at most")]
    BodyTooLarge { body: i64, memory: u64, most: i64 },
    #[error("there is no {0}, which loads the model and asks it")]
    ContractMissing(String),
    /// A sentence for people: what it lacks.
    #[error("{0}")]
    ContractInvalid(String),
    #[error("a model is served by the platform: there is nothing that a Procfile could start")]
    Procfile,
}

impl Written {
    /// What it means.
    pub(crate) fn read(self) -> Result<Model, Wrong> {
        let start = self.file.span().start;
        let file = plain_path(self.file.into_inner()).map_err(|what| Wrong { start, what })?;
        let contract = match self.contract {
            Some(written) => {
                let start = written.span().start;
                module(written.into_inner()).map_err(|what| Wrong { start, what })?
            }
            None => CONTRACT.to_owned(),
        };
        if file == contract {
            let what = What::Name(format!("{file} is the contract: name the file it loads"));
            return Err(Wrong { start, what });
        }
        let max_body_bytes = number("max_body_bytes", self.max_body_bytes, MOST_BODY_BYTES)?;
        let timeout_seconds = number("timeout_seconds", self.timeout_seconds, LONGEST_TIMEOUT)?
            .unwrap_or(TIMEOUT_SECONDS);
        Ok(Model { file, contract, max_body_bytes, timeout_seconds })
    }
}

/// Of letters that no program takes for anything else.
fn plain_path(name: String) -> Result<String, What> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let is_part = |part: &str| !part.starts_with(['.', '-']) && !part.is_empty();
    let is_path = name.len() <= LONGEST_NAME && name.split('/').all(is_part);
    if is_path && name.split('/').all(|part| part.chars().all(is_plain)) {
        Ok(name)
    } else {
        Err(What::Name(format!(
            "the model's file is a path below avishkar.toml of letters, digits, \".\", \"_\" and \
             \"-\", at most {LONGEST_NAME} characters"
        )))
    }
}

/// The name of a Python module at the top, with its ending.
fn module(name: String) -> Result<String, What> {
    let stem = name.strip_suffix(".py").unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = stem.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && stem.chars().all(is_plain)
        && name.len() <= LONGEST_NAME;
    if is_name {
        Ok(name)
    } else {
        let text =
            "the contract is a Python file beside avishkar.toml, named as a module: model.py";
        Err(What::Name(text.to_owned()))
    }
}

fn number(key: &str, written: Option<Spanned<i64>>, most: i64) -> Result<Option<i64>, Wrong> {
    let Some(written) = written else { return Ok(None) };
    let (start, number) = (written.span().start, written.into_inner());
    if (1..=most).contains(&number) {
        Ok(Some(number))
    } else {
        let what = What::Number(format!("model.{key} is a number from 1 to {most}"));
        Err(Wrong { start, what })
    }
}

/// Makes the plan for a model whose files are below a root. The plan's `root` is left empty.
pub(super) fn plan(
    root: &mut dyn Root,
    model: &Model,
    memory_bytes: u64,
) -> Result<BuildPlan, Error> {
    let size = root.size(&model.file).ok_or_else(|| Error::FileMissing(model.file.clone()))?;
    if size > memory_bytes {
        return Err(Error::FileTooLarge { file: model.file.clone(), size, limit: memory_bytes });
    }
    let body = body(model, memory_bytes)?;
    if !root.has(&model.contract) {
        return Err(Error::ContractMissing(model.contract.clone()));
    }
    let text = root.content(&model.contract).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(text) = text else {
        let (file, most) = (&model.contract, detect::LARGEST / 1024);
        let why = format!("{file} cannot be read: it is UTF-8, and at most {most} KiB");
        return Err(Error::ContractInvalid(why));
    };
    for function in [contract::LOAD, contract::PREDICT] {
        contract::check(&text, function)
            .map_err(|why| Error::ContractInvalid(format!("{} {why}", model.contract)))?;
    }
    if root.has("Procfile") {
        return Err(Error::Procfile);
    }
    let dependencies = detect::declared(root).unwrap_or(PythonDependencies::None);
    Ok(BuildPlan {
        runtime: Runtime::Model { dependencies },
        root: String::new(),
        command: command(model, body),
    })
}

/// How large a body may be that the memory can carry beside the model.
fn body(model: &Model, memory: u64) -> Result<i64, Error> {
    let most = i64::try_from(memory / MEMORY_OF_A_BODY).unwrap_or(i64::MAX).max(1);
    match model.max_body_bytes {
        None => Ok(most.min(BODY_BYTES)),
        Some(body) if body <= most => Ok(body),
        Some(body) => Err(Error::BodyTooLarge { body, memory, most }),
    }
}

fn command(model: &Model, body: i64) -> Vec<String> {
    let (body, timeout) = (body.to_string(), model.timeout_seconds.to_string());
    let words = [
        "python",
        PROGRAM,
        "--file",
        &model.file,
        "--contract",
        &model.contract,
        "--max-body-bytes",
        &body,
        "--timeout-seconds",
        &timeout,
    ];
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
