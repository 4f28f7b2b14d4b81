//! What happens to containers of ours, through every restart of the engine.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use common::port::container::label;
use common::port::containers::Event;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;

use super::body::APP;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Whose events are read, and as what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<E> {
    /// The value of [`label::PLATFORM`] on them.
    pub(super) kind: &'static str,
    /// From what the engine says of the container and what happened to it: `start` or `die`.
    pub(super) read: fn(&HashMap<String, String>, &str) -> Option<E>,
    /// What is told after the engine was away.
    pub(super) resync: fn() -> E,
}

/// The containers of apps.
pub(super) const APPS: Source<Event> =
    Source { kind: APP, read: of_an_app, resync: || Event::Resync };

type Messages = BoxStream<'static, Result<EventMessage, bollard::errors::Error>>;

struct Reader<E> {
    docker: Docker,
    source: Source<E>,
    messages: Messages,
    retry: Duration,
    /// Whether the stream broke and nothing was told about it yet.
    broken: bool,
}

/// Events from now on; after the engine was away, that first.
pub(super) fn stream<E: Send + 'static>(
    docker: Docker,
    source: Source<E>,
) -> BoxStream<'static, E> {
    let messages = open(&docker, source.kind);
    let reader = Reader { docker, source, messages, retry: FIRST_RETRY, broken: false };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await;
        Some((event, reader))
    })
    .boxed()
}

impl<E> Reader<E> {
    async fn next(&mut self) -> E {
        loop {
            match self.messages.next().await {
                Some(Ok(message)) => {
                    self.retry = FIRST_RETRY;
                    if let Some(event) = self.read(&message) {
                        return event;
                    }
                }
                Some(Err(err)) => {
                    tracing::debug!(
                        error = &err as &dyn std::error::Error,
                        "events of the engine broke off"
                    );
                    self.broken = true;
                }
                None => self.broken = true,
            }
            if self.broken {
                self.reopen().await;
                return (self.source.resync)();
            }
        }
    }

    fn read(&self, message: &EventMessage) -> Option<E> {
        let attributes = message.actor.as_ref()?.attributes.as_ref()?;
        (self.source.read)(attributes, message.action.as_deref()?)
    }

    /// Returns once the engine answers again.
    async fn reopen(&mut self) {
        loop {
            tokio::time::sleep(self.retry).await;
            self.retry = (self.retry * 2).min(LAST_RETRY);
            self.messages = open(&self.docker, self.source.kind);
            let answers = tokio::time::timeout(LAST_RETRY, self.docker.ping()).await;
            if matches!(answers, Ok(Ok(_))) {
                self.broken = false;
                return;
            }
        }
    }
}

/// The engine replays what happened since now, so nothing is lost until the first read.
#[expect(clippy::disallowed_methods, reason = "the engine's own clock is this machine's")]
fn open(docker: &Docker, kind: &str) -> Messages {
    let now = Timestamp::now();
    let since = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("event", vec!["start".to_owned(), "die".to_owned()]),
        ("label", vec![format!("{}={kind}", label::PLATFORM)]),
    ]);
    let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
    docker.events(Some(options)).boxed()
}

fn of_an_app(attributes: &HashMap<String, String>, what: &str) -> Option<Event> {
    let name = attributes.get("name")?.parse().ok()?;
    match what {
        "start" => Some(Event::Started(name)),
        "die" => Some(Event::Exited(name)),
        _ => None,
    }
}
