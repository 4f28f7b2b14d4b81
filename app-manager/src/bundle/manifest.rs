//! `avishkar.toml`: how an app wants to be run. Every key is optional, no other key is taken.

use std::collections::BTreeMap;
use std::ops::Range;

use common::name::AppName;
use common::record::release::Strategy;
use serde::Deserialize;
use toml::Spanned;

use super::json::{place, tamed};
use super::model::{self, Model, What, Written, Wrong};
use crate::domain::edge;
use crate::domain::scaling;
use crate::domain::settings::{self, Bounds, Settings};

/// How large the file may be.
pub(crate) const LARGEST: u64 = 64 * 1024;

/// Why the file is refused, and where: line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("avishkar.toml, line {line}, column {column}: {why}")]
pub(crate) struct Error {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: Why,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("{0}")]
    UnknownField(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    ModelName(String),
    #[error(transparent)]
    Setting(settings::Error),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<Spanned<String>>,
    port: Option<Spanned<i64>>,
    health: Option<Spanned<String>>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    memory: Option<Spanned<Amount>>,
    cpus: Option<Spanned<Cores>>,
    replicas: Option<Spanned<i64>>,
    placement: Option<Strategy>,
    scaling: Option<Spanned<scaling::Written>>,
    edge: Option<Spanned<edge::Written>>,
    read_only: Option<bool>,
    model: Option<Written>,
}

/// An amount of memory: `"256m"` or a number of bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Amount {
    Text(String),
    Bytes(u64),
}

impl Amount {
    pub(crate) fn text(&self) -> String {
        match self {
            Amount::Text(text) => text.clone(),
            Amount::Bytes(bytes) => bytes.to_string(),
        }
    }
}

/// A number of cores, written `1` or `0.5`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cores {
    Whole(u32),
    Part(f64),
}

impl Cores {
    pub(crate) fn number(self) -> f64 {
        match self {
            Cores::Whole(number) => number.into(),
            Cores::Part(number) => number,
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) settings: Settings,
    /// Without, the bundle is no model.
    pub(crate) model: Option<Model>,
}

/// Reads the file; what it leaves out is as the platform has it by default.
pub(crate) fn read(bytes: &[u8], bounds: &Bounds) -> Result<Manifest, Error> {
    let mut raw = parsed(bytes)?;
    let written = raw.model.take().map(Written::read).transpose();
    let model = written.map_err(|Wrong { start, what }| match what {
        What::Name(text) => at(bytes, start, Why::ModelName(text)),
        What::Number(text) => at(bytes, start, Why::Invalid(text)),
    })?;
    let health = raw.health.as_ref().filter(|health| health.get_ref() != model::HEALTH);
    if let (Some(_), Some(health)) = (&model, health) {
        let text = format!("a model answers at {}: leave the key out", model::HEALTH);
        return Err(at(bytes, health.span().start, Why::Invalid(text)));
    }
    let mut settings = settings(bytes, raw, bounds)?;
    if model.is_some() {
        settings.health_path = Some(model::HEALTH.to_owned());
    }
    Ok(Manifest { settings, model })
}

fn parsed(bytes: &[u8]) -> Result<Raw, Error> {
    let text = std::str::from_utf8(bytes).map_err(|err| {
        at(bytes, err.valid_up_to(), Why::Invalid("the text is not UTF-8".to_owned()))
    })?;
    toml::from_str(text).map_err(|err| {
        let start = err.span().map_or(0, |span| span.start);
        let message = tamed(err.message());
        let is_unknown = message.starts_with("unknown field");
        let why = if is_unknown { Why::UnknownField(message) } else { Why::Invalid(message) };
        at(bytes, start, why)
    })
}

fn settings(bytes: &[u8], raw: Raw, bounds: &Bounds) -> Result<Settings, Error> {
    let wrong =
        |span: Range<usize>| move |err: settings::Error| at(bytes, span.start, Why::Setting(err));
    let mut settings = Settings::new(bounds);
    if let Some(name) = raw.name {
        let start = name.span().start;
        name.into_inner()
            .parse::<AppName>()
            .map_err(|err| at(bytes, start, Why::Invalid(err.to_string())))?;
    }
    if let Some(port) = raw.port {
        settings.port = settings::port(*port.get_ref()).map_err(wrong(port.span()))?;
    }
    if let Some(health) = raw.health {
        let path = settings::health_path(health.get_ref()).map_err(wrong(health.span()))?;
        settings.health_path = Some(path);
    }
    if let Some(env) = raw.env {
        let span = env.span();
        settings.environment = settings::environment(env.into_inner()).map_err(wrong(span))?;
    }
    if let Some(memory) = raw.memory {
        let amount = settings::memory(&memory.get_ref().text(), bounds);
        settings.limits.memory_bytes = amount.map_err(wrong(memory.span()))?;
    }
    if let Some(cpus) = raw.cpus {
        let millis = settings::cpus(cpus.get_ref().number(), bounds);
        settings.limits.cpu_millis = millis.map_err(wrong(cpus.span()))?;
    }
    if let Some(replicas) = raw.replicas {
        let count = settings::replicas(*replicas.get_ref(), bounds);
        settings.replicas = Some(count.map_err(wrong(replicas.span()))?);
    }
    if let Some(written) = raw.scaling {
        let span = written.span();
        let scaling = scaling::scaling(written.get_ref(), bounds).map_err(wrong(span.clone()))?;
        let hours = scaling::hours(written.get_ref(), &scaling, bounds);
        settings.hours = hours.map_err(wrong(span.clone()))?;
        scaling::check_replicas(settings.replicas, &scaling).map_err(wrong(span))?;
        settings.scaling = Some(scaling);
    }
    if let Some(written) = raw.edge {
        let span = written.span();
        settings.edge = edge::options(written.into_inner()).map_err(wrong(span))?;
    }
    settings.placement = raw.placement;
    settings.read_only = raw.read_only.unwrap_or(false);
    Ok(settings)
}

fn at(bytes: &[u8], start: usize, why: Why) -> Error {
    let (line, column) = place(bytes, start);
    Error { line, column, why }
}

#[cfg(test)]
mod tests {
    use common::port::container::Limits;
    use common::record::scale::Scaling;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        default_limits: Limits { memory_bytes: 1 << 28, cpu_millis: 500, processes: 256 },
        max_memory_bytes: 1 << 32,
        max_cpu_millis: 4000,
        max_replicas: 20,
    };

    #[test]
    fn every_key_is_read() {
        let text = "name = \"shop\"\nport = 9000\nhealth = \"/up\"\nmemory = \"512m\"\ncpus = 1\nreplicas = 3\nplacement = \"same-node\"\nread_only = true\n[env]\nMODE = \"fast\"\n[scaling]\nmin = 2\nmax = 6\ncpu = 60\n[edge]\nsticky = true\n";
        let Manifest { settings, model } = read(text.as_bytes(), &BOUNDS).unwrap();
        assert_eq!(model, None);
        assert_eq!(settings.port, 9000);
        assert_eq!(settings.health_path.as_deref(), Some("/up"));
        assert_eq!(
            settings.limits,
            Limits { memory_bytes: 1 << 29, cpu_millis: 1000, processes: 256 }
        );
        assert_eq!((settings.replicas, settings.read_only), (Some(3), true));
        assert_eq!(settings.placement, Some(Strategy::SameNode));
        assert_eq!(settings.environment["MODE"], "fast");
        let scaling = Scaling { cpu_percent: 60, ..Scaling::within(2, 6) };
        assert_eq!(settings.scaling, Some(scaling));
        assert!(settings.edge.sticky);
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let manifest = Manifest { settings: Settings::new(&BOUNDS), model: None };
        assert_eq!(read(b"", &BOUNDS).unwrap(), manifest);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, line, column) in [
            ("port = 8080\nprot = 1\n", 2, 1),
            ("port = 70000\n", 1, 8),
            ("\nport = \"80; x\"\n", 2, 8),
            ("port = 22", 1, 8),
            ("port = 1\nport = 2\n", 2, 1),
            ("health = \"up\"", 1, 10),
            ("cpus = 99", 1, 8),
            ("memory = \"lots\"", 1, 10),
            ("replicas = 0", 1, 12),
            ("placement = \"best\"", 1, 13),
            ("name = \"A B\"", 1, 8),
            ("[env]\nLD_PRELOAD = \"x\"\n", 1, 1),
            ("port = [", 1, 9),
            ("port = 80\n[scaling]\nmin = 1\n", 2, 1),
            ("port = 80\n[scaling]\nmin = 3\nmax = 2\n", 2, 1),
            ("port = 80\n[scaling]\nmin = 1\nmax = 2\nmost = 2\n", 5, 1),
            ("port = 80\n[edge]\nconnections = 0\n", 2, 1),
            ("port = 80\n[edge]\nsticky = true\nhost = 1\n", 4, 1),
            ("replicas = 3\nscaling = { min = 1, max = 2 }", 2, 11),
            ("port = 80\n[model]\n", 2, 1),
            ("port = 80\n[model]\nfile = \"/m\"\n", 3, 8),
            ("port = 80\n[model]\nfile = \"m\"\nfiles = 1\n", 4, 1),
            ("port = 80\n[model]\nfile = \"m\"\ntimeout_seconds = 0\n", 4, 19),
            ("health = \"/up\"\n[model]\nfile = \"m\"\n", 1, 10),
        ] {
            let err = read(text.as_bytes(), &BOUNDS).unwrap_err();
            assert_eq!((err.line, err.column), (line, column), "{text}: {err}");
        }
    }

    #[test]
    fn a_model_answers_where_its_program_does() {
        for health in ["", "health = \"/health\"\n"] {
            let text = format!("{health}[model]\nfile = \"m.pkl\"\n");
            let manifest = read(text.as_bytes(), &BOUNDS).unwrap();
            assert_eq!(manifest.settings.health_path.as_deref(), Some("/health"));
            assert_eq!(manifest.model.unwrap().contract, "model.py");
        }
    }

    #[test]
    fn an_unknown_key_is_told_apart() {
        let err = read(b"owner = \"me\"", &BOUNDS).unwrap_err();
        assert!(matches!(err.why, Why::UnknownField(_)), "{err}");
        let err = read(b"port = 0", &BOUNDS).unwrap_err();
        assert_eq!(err.why, Why::Setting(settings::Error::PortInvalid));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_crash() {
        let text = format!("port = {}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(read(text.as_bytes(), &BOUNDS).is_err());
    }
}
