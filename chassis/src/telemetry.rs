//! Logs: to standard output as JSON or for people, and to the service's rotated file under `/logs`.

mod rotating;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use rotating::RotatingFile;

/// `[telemetry]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How standard output is written.
    pub format: Format,
    /// What is logged, as a filter: `info`, `info,deployment_manager=debug`.
    pub level: String,
    /// The folder of the log files; empty for none.
    pub log_folder: String,
}

/// How a line on standard output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Json,
    Human,
    /// Nothing: only the file has the logs.
    None,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("telemetry.level is not a filter")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    #[error("the log file {path} cannot be written")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("logging was set up twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging; returns the path of the log file, if there is one. `file_name` is its name in the folder.
pub fn start(config: &Config, file_name: &str) -> Result<Option<PathBuf>, Error> {
    let filter = EnvFilter::try_new(&config.level).map_err(Error::Level)?;
    let path =
        (!config.log_folder.is_empty()).then(|| PathBuf::from(&config.log_folder).join(file_name));
    let file = match &path {
        Some(path) => {
            let open = RotatingFile::open(path.clone());
            Some(open.map_err(|source| Error::File { path: path.clone(), source })?)
        }
        None => None,
    };
    let file_layer = file.map(|file| {
        tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(file)
    });
    let output = match config.format {
        Format::None => None,
        Format::Json => Some(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_span_events(FmtSpan::NONE)
                .boxed(),
        ),
        Format::Human => Some(
            tracing_subscriber::fmt::layer()
                .with_ansi(io::stdout().is_terminal())
                .with_target(false)
                .boxed(),
        ),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(file_layer)
        .with(output)
        .try_init()
        .map_err(Error::Twice)?;
    Ok(path)
}
