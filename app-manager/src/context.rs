//! What the parts of the service share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::reconcile::Wake;
use common::id::MessageId;
use common::name::LegacyName;
use tokio::sync::{Mutex, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::people::first_admin::TokenFile;
use crate::people::secret;
use crate::people::throttle::Throttle;
use crate::people::token::Tokens;
use crate::ports::Ports;
use crate::staging::Staging;

/// How many passwords are hashed at once: each takes 19 MiB.
const HASHES_AT_ONCE: usize = 2;
/// How many archives are checked at once.
const CHECKS_AT_ONCE: usize = 2;
/// How many people read apps' output at once.
const READERS: usize = 64;
/// How many people read topics at once.
const WATCHERS: usize = 16;
/// How many publications a slow reader may be behind; then it takes the answer to be unknown.
const PUBLICATIONS: usize = 256;

/// Why the service cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Secret(#[from] secret::Error),
    #[error("the staging folder cannot be used")]
    Staging(#[source] io::Error),
}

/// The ports, the configuration, and what is kept in memory.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) tokens: Tokens,
    pub(crate) throttle: Throttle,
    pub(crate) token_file: TokenFile,
    pub(crate) staging: Staging,
    /// Wakes the publisher of owed messages.
    pub(crate) wake: Wake<LegacyName>,
    /// Wakes who starts and ends instances at their times.
    pub(crate) due: Wake<LegacyName>,
    /// Tells which owed messages the bus has taken.
    pub(crate) published: broadcast::Sender<MessageId>,
    pub(crate) hashing: Semaphore,
    pub(crate) checking: Semaphore,
    /// Places for uploads, from their first byte to their release.
    pub(crate) uploading: Arc<Semaphore>,
    /// Places for readers of apps' output.
    pub(crate) reading: Arc<Semaphore>,
    /// Places for readers of topics.
    pub(crate) watching: Arc<Semaphore>,
    /// Ends answers that would go on.
    pub(crate) stopping: CancellationToken,
    /// Releases are numbered one after another: many uploads of one app at once would else only meet
    /// each other's versions.
    pub(crate) releasing: Mutex<()>,
    pub(crate) metrics: Metrics,
}

/// How long an answer waits for the bus before it says that it waits for it.
pub(crate) const BUS_WITHIN: Duration = Duration::from_secs(2);

impl Context {
    /// Reads the secret and empties the staging folder.
    pub(crate) fn new(ports: Ports, config: Config) -> Result<Self, Error> {
        let secret = config.secret.load()?;
        Ok(Context {
            tokens: Tokens::new(&secret),
            throttle: Throttle::default(),
            token_file: TokenFile::in_folder(&config.folder),
            staging: Staging::open(config.staging_folder()).map_err(Error::Staging)?,
            wake: Wake::new(),
            due: Wake::new(),
            published: broadcast::Sender::new(PUBLICATIONS),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            checking: Semaphore::new(CHECKS_AT_ONCE),
            uploading: Arc::new(Semaphore::new(config.uploads_at_once)),
            reading: Arc::new(Semaphore::new(READERS)),
            watching: Arc::new(Semaphore::new(WATCHERS)),
            stopping: CancellationToken::new(),
            releasing: Mutex::new(()),
            metrics: Metrics::new(),
            ports,
            config,
        })
    }
}
