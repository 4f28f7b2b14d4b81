//! Clients that ask one endpoint without pause, each on a connection it keeps or on a new one each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::figure::{Figure, Goal};
use crate::http::{self, Connection};

/// How long the last answers are waited for.
const LAST_WITHIN: Duration = Duration::from_secs(5);
/// After a failure; what is broken must not be asked as fast as possible.
const PAUSE: Duration = Duration::from_millis(1);

/// What became of the requests. Nothing is sent a second time, so each request is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) lasted: Duration,
    /// What the answers took, in microseconds, in no order.
    took: Vec<u32>,
}

/// How many clients there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clients {
    /// They keep their connections.
    pub(crate) kept: usize,
    /// They open a connection for each request, and say that they do.
    pub(crate) short: usize,
}

impl Tally {
    /// Requests a second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.lasted.as_secs_f64()
    }

    /// The time within which 99 of 100 answers came, in microseconds.
    pub(crate) fn p99(&self) -> f64 {
        let mut took = self.took.clone();
        let at = took.len() * 99 / 100;
        if at >= took.len() {
            return f64::NAN;
        }
        f64::from(*took.select_nth_unstable(at).1)
    }

    /// Of how many requests, and why the first that failed did.
    pub(crate) fn told(&self) -> String {
        let all = self.answered + self.failed;
        let mut told = format!("of {all} requests in {:.1} s", self.lasted.as_secs_f64());
        if let Some(reason) = &self.first_failure {
            told.push_str(&format!("; the first: {reason}"));
        }
        told
    }

    /// The figure that none may fail; no figure where nobody was answered.
    #[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    pub(crate) fn none_failed(&self, name: &str) -> anyhow::Result<Figure> {
        ensure!(self.answered > 0, "nobody was answered: {:?}", self.first_failure);
        let figure = Figure::of_value(name, self.failed as f64, Goal::AtMost(0.0));
        Ok(figure.with_note(self.told()))
    }

    /// The same; a goal that so few requests say little of is missed.
    pub(crate) fn none_failed_of(&self, name: &str, least: u64) -> anyhow::Result<Figure> {
        let figure = self.none_failed(name)?;
        let met = figure.met.map(|met| met && self.answered >= least);
        Ok(Figure { met, ..figure })
    }

    /// Takes in what became of others, at another time or of other clients.
    pub(crate) fn add(&mut self, other: Tally) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.lasted += other.lasted;
        self.took.extend(other.took);
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn failure(&mut self, reason: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(reason);
    }
}

/// Has `clients` clients ask on connections they keep until `over` is; returns what it said, and the sum.
pub(crate) async fn during<T>(
    at: SocketAddr,
    host: &str,
    clients: usize,
    over: impl Future<Output = T>,
) -> (T, Tally) {
    of_both(at, host, Clients { kept: clients, short: 0 }, over).await
}

/// As `during`, with clients of both kinds.
pub(crate) async fn of_both<T>(
    at: SocketAddr,
    host: &str,
    clients: Clients,
    over: impl Future<Output = T>,
) -> (T, Tally) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut crowd = JoinSet::new();
    for _ in 0..clients.kept {
        crowd.spawn(client(at, http::get(host), Arc::clone(&stop)));
    }
    for _ in 0..clients.short {
        crowd.spawn(client(at, http::get_once(host), Arc::clone(&stop)));
    }
    let began = Instant::now();
    let said = over.await;
    stop.store(true, Ordering::Relaxed);
    let mut sum = Tally { lasted: began.elapsed(), ..Tally::default() };
    let give_up = Instant::now() + LAST_WITHIN;
    while !crowd.is_empty() {
        match tokio::time::timeout_at(give_up, crowd.join_next()).await {
            Ok(Some(Ok(tally))) => sum.add(tally),
            Ok(Some(Err(err))) => sum.failure(format!("a client ended: {err}")),
            Ok(None) => break,
            Err(_) => {
                for _ in 0..crowd.len() {
                    sum.failure("a request got no answer".to_owned());
                }
                break;
            }
        }
    }
    (said, sum)
}

async fn client(at: SocketAddr, request: Vec<u8>, stop: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match exchange(at, &request, &mut kept).await {
            Ok(()) => {
                tally.answered += 1;
                let took = began.elapsed().as_micros();
                tally.took.push(u32::try_from(took).unwrap_or(u32::MAX));
            }
            Err(reason) => {
                kept = None;
                tally.failure(reason);
                sleep(PAUSE).await;
            }
        }
    }
    tally
}

async fn exchange(
    at: SocketAddr,
    request: &[u8],
    kept: &mut Option<Connection<TcpStream>>,
) -> Result<(), String> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let opened = timeout(LAST_WITHIN, Connection::open(at)).await;
            let opened = opened.map_err(|_| "cannot connect: no answer".to_owned())?;
            opened.map_err(|err| format!("cannot connect: {err}"))?
        }
    };
    let answer = connection.ask(request).await.map_err(|err| format!("no answer: {err}"))?;
    if answer.status != 200 {
        let body = String::from_utf8_lossy(connection.body());
        return Err(format!("{}: {}", answer.status, body.trim()));
    }
    // A server may say that it ends the connection; that is an answer all the same.
    *kept = (!answer.closes).then_some(connection);
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    const NOT: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad";

    /// Gives each connection these answers and then ends it.
    async fn serve(listener: &TcpListener, answers: &[&[u8]]) {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in answers {
            let mut asked = vec![0; http::get("a").len()];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    }

    #[test]
    fn that_none_failed_is_shown_by_enough_requests_only() {
        let tally = |answered, failed| Tally { answered, failed, ..Tally::default() };
        let met = |tally: Tally| tally.none_failed_of("a", 100).unwrap().met;
        assert_eq!(met(tally(100, 0)), Some(true));
        assert_eq!(met(tally(99, 0)), Some(false));
        assert_eq!(met(tally(100, 1)), Some(false));
        assert!(tally(0, 0).none_failed_of("a", 0).is_err());
    }

    #[test]
    fn of_a_hundred_answers_one_may_be_later() {
        let tally = Tally { took: (1..=200).rev().collect(), ..Tally::default() };
        assert!((tally.p99() - 199.0).abs() < f64::EPSILON, "{}", tally.p99());
        assert!(Tally::default().p99().is_nan());
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_word_is_a_failure_and_with_word_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = async {
            serve(&listener, &[OK, OK, LAST]).await;
            serve(&listener, &[OK, NOT]).await;
            serve(&listener, &[OK]).await;
            // The request that met the end has failed by the time the client is back.
            drop(listener.accept().await.unwrap());
        };
        let at = listener.local_addr().unwrap();
        let ((), tally) = during(at, "a", 1, server).await;
        assert_eq!(tally.answered, 5);
        assert_eq!(tally.failed, 3, "{tally:?}");
        assert_eq!(tally.first_failure.as_deref(), Some("502: bad"));
    }
}
