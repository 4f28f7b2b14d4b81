//! Images that are built on this machine of code on a share: fetched whole, compared with what was meant, built, once
//! per content. What fails leaves nothing that would be taken for the image.

use std::sync::Arc;
use std::time::Duration;

use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::name::ShareName;
use common::port::part::PartImage;
use common::port::share::{self, Access, Closed, Code, Context, Limits};
use common::port::{Cause, PartContainers, Shares, containers};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How many are fetched and built at once: each is in memory as a whole.
const AT_ONCE: usize = 1;
/// How long reading a folder may take.
const READ_WITHIN: Duration = Duration::from_mins(5);
const DOCKERFILE: &str = "Dockerfile";

/// Why code did not become an image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Closed(Closed),
    /// What was said of a share could not be written down.
    #[error("what the share {name} is cannot be kept")]
    NotKept {
        name: ShareName,
        #[source]
        source: Cause,
    },
    #[error(transparent)]
    Share(share::Error),
    #[error("{place} did not give {code} within {} s", READ_WITHIN.as_secs())]
    Slow { place: String, code: Code },
    #[error("what is in {place} for {code} has the digest {found}")]
    Mismatch { place: String, code: Code, found: Digest },
    #[error("there is no {DOCKERFILE} in {place} for {code}")]
    NoDockerfile { place: String, code: Code },
    #[error(transparent)]
    Engine(containers::Error),
}

/// Makes images of code.
#[derive(Debug)]
pub(super) struct Builder {
    engine: Arc<dyn PartContainers>,
    shares: Arc<dyn Shares>,
    turns: Semaphore,
}

impl Builder {
    pub(super) fn new(engine: Arc<dyn PartContainers>, shares: Arc<dyn Shares>) -> Self {
        Builder { engine, shares, turns: Semaphore::new(AT_ONCE) }
    }

    /// Makes the image of this code present.
    pub(super) async fn ensure(&self, code: &Code) -> Result<(), Error> {
        if self.is_there(code).await? {
            return Ok(());
        }
        let _turn = self.turns.acquire().await;
        // Another part of the same code may have been first.
        if self.is_there(code).await? {
            return Ok(());
        }
        tracing::info!(%code, "code is fetched, and its image built");
        let context = self.fetch(code).await?;
        self.engine.build_image(code, context.archive).await.map_err(Error::Engine)
    }

    /// Whether this code is still to be built, and other code is being built now.
    pub(super) async fn has_to_wait(&self, code: &Code) -> Result<bool, Error> {
        Ok(self.turns.available_permits() == 0 && !self.is_there(code).await?)
    }

    /// Takes note of what a share is.
    pub(super) async fn keep(&self, name: &ShareName, access: &Access) -> Result<(), Error> {
        let not_kept = |source| Error::NotKept { name: name.clone(), source };
        self.shares.keep(name, access).await.map_err(not_kept)
    }

    async fn is_there(&self, code: &Code) -> Result<bool, Error> {
        match self.engine.fetch_image(&PartImage::Built(code.clone())).await {
            Ok(()) => Ok(true),
            Err(containers::Error::ImageUnavailable { .. }) => Ok(false),
            Err(err) => Err(Error::Engine(err)),
        }
    }

    /// All of it, and nothing else than was meant.
    async fn fetch(&self, code: &Code) -> Result<Context, Error> {
        let share = self.shares.open(&code.share).await.map_err(Error::Closed)?;
        let place = || share.place().to_owned();
        let limits = Limits::default();
        let read = timeout(READ_WITHIN, share::read(share.as_ref(), &code.folder, &limits)).await;
        let slow = |_| Error::Slow { place: place(), code: code.clone() };
        let files = read.map_err(slow)?.map_err(Error::Share)?;
        let context = Context::of(&files);
        if context.digest != code.digest {
            let found = context.digest;
            return Err(Error::Mismatch { place: place(), code: code.clone(), found });
        }
        if !files.keys().any(|name| name.as_str() == DOCKERFILE) {
            return Err(Error::NoDockerfile { place: place(), code: code.clone() });
        }
        Ok(context)
    }
}

impl Error {
    /// The same as a failure of the closed list.
    pub(crate) fn to_failure(&self) -> Failure {
        let (code, hint) = match self {
            Error::Engine(err) => return of_the_engine(err),
            Error::Closed(_) => (
                FailureCode::ShareUnknown,
                "see what [shares] of platform.toml says of it".to_owned(),
            ),
            Error::NotKept { .. } => (
                FailureCode::InsufficientStorage,
                "see whether the disk of the node is full".to_owned(),
            ),
            Error::Share(err) => (code_of(err), err.hint()),
            Error::Slow { .. } => (
                FailureCode::ShareUnavailable,
                "see how fast the share can be reached from the node".to_owned(),
            ),
            Error::Mismatch { .. } => (
                FailureCode::CodeMismatch,
                "name this digest if it is what is meant, or put back what was".to_owned(),
            ),
            Error::NoDockerfile { .. } => (
                FailureCode::CodeUnfit,
                "put one there that says how the service's image is built".to_owned(),
            ),
        };
        Failure::new(code, format!("{self}: {hint}"))
    }
}

fn of_the_engine(err: &containers::Error) -> Failure {
    let failure = err.to_failure();
    // What the engine refuses to build says something about the code.
    let is_refusal = matches!(err, containers::Error::Refused(_));
    if is_refusal { Failure { code: FailureCode::BuildFailed, ..failure } } else { failure }
}

fn code_of(err: &share::Error) -> FailureCode {
    match err {
        share::Error::CredentialsRefused { .. } => FailureCode::ShareRefused,
        share::Error::Changed { .. } | share::Error::Unavailable { .. } => {
            FailureCode::ShareUnavailable
        }
        share::Error::NotFound { .. }
        | share::Error::HostileName { .. }
        | share::Error::TooManyFiles { .. }
        | share::Error::FileTooLarge { .. }
        | share::Error::TooLarge { .. } => FailureCode::CodeUnfit,
    }
}
