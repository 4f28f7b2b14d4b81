//! Configuration in layers: the compiled-in file of the service, what `avishkar up` lays over it, a file given by `--config`, the
//! environment (`AVISHKAR_<SECTION>__<KEY>`), `--set section.key=value`. Read once, here, nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;

const PREFIX: &str = "AVISHKAR_";

/// Where a configuration comes from, besides the compiled-in file.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What is laid over the compiled-in file, in its form.
    pub layer: String,
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Variables whose names begin with `AVISHKAR_` and have a `__`.
    pub environment: BTreeMap<String, String>,
    /// `--set section.key=value`.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// Takes the process's environment.
    pub fn from_process(file: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        let ours = |(name, _): &(String, String)| name.starts_with(PREFIX) && name.contains("__");
        let environment = std::env::vars().filter(ours).collect();
        Sources { layer: String::new(), file, environment, overrides }
    }
}

/// The folder that a variable of the XDG base directories names, if it is absolute.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn xdg_folder(variable: &str) -> Option<PathBuf> {
    std::env::var(variable).ok().map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A variable by which the supervisor of this process says how it wants to be told of it.
pub fn supervisor_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A secret that the configuration names by its variable.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn secret_variable(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString)
}

/// One thing that is wrong with a configuration: a key and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub message: String,
}

impl Problem {
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Problem { key: key.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the configuration cannot be read")]
    Unreadable(#[source] config::ConfigError),
    /// Everything that is wrong, at once.
    #[error("the configuration is wrong:{}", list(.0))]
    Wrong(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().flat_map(|problem| ["\n  ".to_owned(), problem.to_string()]).collect()
}

/// Reads a configuration as it is written. `defaults` is the text of `config/<service>.toml`.
pub fn read<T: DeserializeOwned>(defaults: &str, sources: &Sources) -> Result<T, Error> {
    let mut builder: ConfigBuilder<DefaultState> =
        config::Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    builder = builder.add_source(File::from_str(&sources.layer, FileFormat::Toml));
    if let Some(file) = &sources.file {
        builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
    }
    let variables = sources
        .environment
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value.clone())))
        .collect();
    builder = builder.add_source(
        Environment::default()
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("http.cors_origins")
            .with_list_parse_key("acme.contacts")
            .source(Some(variables)),
    );
    for (key, value) in &sources.overrides {
        builder = builder.set_override(key.as_str(), value.as_str()).map_err(Error::Unreadable)?;
    }
    builder.build().and_then(config::Config::try_deserialize).map_err(Error::Unreadable)
}

/// A configuration as text, for `--print-config`. Secrets are of types that print as `"***"`.
pub fn print<T: Serialize>(config: &T) -> String {
    toml::to_string_pretty(config).unwrap_or_else(|err| format!("# not printable: {err}\n"))
}

/// A text that must not be shown. It prints and serializes as `***`.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct SecretString(String);

impl SecretString {
    pub fn new(text: String) -> Self {
        SecretString(text)
    }

    /// The text itself: for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for SecretString {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        kafka: Kafka,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Kafka {
        brokers: String,
        tries: u32,
    }

    const DEFAULTS: &str = "[kafka]\nbrokers = \"127.0.0.1:9092\"\ntries = 3\n";

    #[test]
    fn later_layers_win() {
        let layer = "[kafka]\nbrokers = \"a:1\"\ntries = 4\n".to_owned();
        let mut sources = Sources { layer, ..Sources::default() };
        let sample: Sample = read(DEFAULTS, &sources).unwrap();
        assert_eq!(sample.kafka, Kafka { brokers: "a:1".to_owned(), tries: 4 });
        sources.environment.insert("AVISHKAR_KAFKA__BROKERS".to_owned(), "kafka:9093".to_owned());
        sources.overrides.push(("kafka.tries".to_owned(), "5".to_owned()));
        let sample: Sample = read(DEFAULTS, &sources).unwrap();
        assert_eq!(sample.kafka, Kafka { brokers: "kafka:9093".to_owned(), tries: 5 });
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let mut sources = Sources::default();
        sources.environment.insert("AVISHKAR_KAFKA__BROKER".to_owned(), "kafka:9093".to_owned());
        assert!(read::<Sample>(DEFAULTS, &sources).is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = SecretString::new("correct horse".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    }
}
