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

type Messages = BoxStream<'static, Result<EventMessage, bollard::errors::Error>>;

struct Reader {
    docker: Docker,
    messages: Messages,
    retry: Duration,
    /// Whether the stream broke and nothing was told about it yet.
    broken: bool,
}

/// Events from now on; after the engine was away, [`Event::Resync`] first.
pub(super) fn stream(docker: Docker) -> BoxStream<'static, Event> {
    let messages = open(&docker);
    let reader = Reader { docker, messages, retry: FIRST_RETRY, broken: false };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await;
        Some((event, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Event {
        loop {
            match self.messages.next().await {
                Some(Ok(message)) => {
                    self.retry = FIRST_RETRY;
                    if let Some(event) = read(&message) {
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
                return Event::Resync;
            }
        }
    }

    /// Returns once the engine answers again.
    async fn reopen(&mut self) {
        loop {
            tokio::time::sleep(self.retry).await;
            self.retry = (self.retry * 2).min(LAST_RETRY);
            self.messages = open(&self.docker);
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
fn open(docker: &Docker) -> Messages {
    let now = Timestamp::now();
    let since = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("event", vec!["start".to_owned(), "die".to_owned()]),
        ("label", vec![format!("{}={APP}", label::PLATFORM)]),
    ]);
    let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
    docker.events(Some(options)).boxed()
}

fn read(message: &EventMessage) -> Option<Event> {
    let name = message.actor.as_ref()?.attributes.as_ref()?.get("name")?.parse().ok()?;
    match message.action.as_deref()? {
        "start" => Some(Event::Started(name)),
        "die" => Some(Event::Exited(name)),
        _ => None,
    }
}
