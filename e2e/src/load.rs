//! Requests as a crowd of users sends them, and what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long most people wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened to the requests of a crowd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub answered: u64,
    pub failed: u64,
    /// The longest time without any answer.
    pub longest_gap: Duration,
}

/// Clients that ask one URL over and over on kept connections, until told to stop.
#[derive(Debug)]
pub struct Crowd {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: JoinSet<(u64, Vec<Instant>)>,
    first_failure: Arc<std::sync::Mutex<Option<String>>>,
}

impl Crowd {
    /// Starts `clients` clients on `url`; an answer counts if its status is 200 and `expected` is in its body.
    pub fn start(url: &str, clients: usize, expected: &str) -> Self {
        Crowd::with_patience(PATIENCE, url, clients, expected)
    }

    /// The same of clients that ask anew, on another connection, where nothing comes for so long: what a dead machine took
    /// with it is not waited for.
    pub fn with_patience(patience: Duration, url: &str, clients: usize, expected: &str) -> Self {
        let crowd = Crowd {
            stop: Arc::default(),
            answered: Arc::default(),
            clients: JoinSet::new(),
            first_failure: Arc::default(),
        };
        let mut crowd = crowd;
        for _ in 0..clients {
            let (stop, answered) = (Arc::clone(&crowd.stop), Arc::clone(&crowd.answered));
            let (url, expected) = (url.to_owned(), expected.to_owned());
            let first_failure = Arc::clone(&crowd.first_failure);
            crowd.clients.spawn(async move {
                let client = reqwest::Client::builder()
                    .timeout(patience)
                    .build()
                    .expect("a client needs nothing");
                let (mut failed, mut times) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    match ask(&client, &url, &expected).await {
                        Ok(()) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            times.push(Instant::now());
                        }
                        Err(err) => {
                            failed += 1;
                            first_failure
                                .lock()
                                .expect("no client panics")
                                .get_or_insert(format!("{err:#}"));
                        }
                    }
                    // Users think; without a pause two cores would only measure themselves.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                (failed, times)
            });
        }
        crowd
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// The first failure, if there was one.
    pub fn first_failure(&self) -> Option<String> {
        self.first_failure.lock().expect("no client panics").clone()
    }

    /// Stops all clients and adds up.
    pub async fn finish(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally { answered: self.answered(), ..Tally::default() };
        let mut times = Vec::new();
        while let Some(Ok((failed, more))) = self.clients.join_next().await {
            tally.failed += failed;
            times.extend(more);
        }
        tally.answered = times.len() as u64;
        times.sort_unstable();
        let gaps =
            times.windows(2).filter_map(|pair| Some(pair.get(1)?.duration_since(*pair.first()?)));
        tally.longest_gap = gaps.max().unwrap_or_default();
        tally
    }

    /// The same; that a request failed is an error, which says what the first of them met.
    pub async fn finish_without_failure(self) -> anyhow::Result<Tally> {
        let first_failure = Arc::clone(&self.first_failure);
        let tally = self.finish().await;
        let first = first_failure.lock().expect("no client panics");
        anyhow::ensure!(tally.failed == 0, "{tally:?}, the first: {first:?}");
        Ok(tally)
    }
}

async fn ask(client: &reqwest::Client, url: &str, expected: &str) -> anyhow::Result<()> {
    let answer = client.get(url).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    anyhow::ensure!(status == 200, "{status}: {body}");
    anyhow::ensure!(body.contains(expected), "{expected:?} is not in {body:?}");
    Ok(())
}
