//! HTTP by hand, for requests that no client library sends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::platform::{SERVER, User};
use crate::refusal::Refusal;

const PATIENCE: Duration = Duration::from_secs(30);

/// A request as text, with a user's token; `headers` end in a line's end each.
pub fn head(user: &User, method: &str, path: &str, headers: &str) -> anyhow::Result<String> {
    let with_token = user.request(Method::GET, "/").build()?;
    let token =
        with_token.headers().get("authorization").context("a user has a token")?.to_str()?;
    let host = SERVER.trim_start_matches("http://");
    Ok(format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n{headers}\r\n"
    ))
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    opened: Instant,
}

impl Connection {
    pub async fn open() -> anyhow::Result<Self> {
        let stream = TcpStream::connect(SERVER.trim_start_matches("http://")).await?;
        Ok(Connection { stream, opened: Instant::now() })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Sends nothing more, and still listens.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Sends `more` again and again, until the other side takes no more, and listens at the same time.
    /// Returns the answer, when the other side closed, and how much had gone out when the answer came.
    pub async fn flood(self, more: &[u8], times: usize) -> anyhow::Result<(Refusal, usize)> {
        let Connection { stream, opened } = self;
        let (mut reading, mut writing) = stream.into_split();
        let sent = AtomicUsize::new(0);
        let sending = async {
            for _ in 0..times {
                if writing.write_all(more).await.is_err() {
                    break;
                }
                sent.fetch_add(more.len(), Ordering::Relaxed);
                // Or an answer would lie unread while the other side takes what comes.
                tokio::task::yield_now().await;
            }
        };
        let listening = async {
            let mut first = [0];
            let length = reading.read(&mut first).await.unwrap_or_default();
            let before = sent.load(Ordering::Relaxed);
            let rest = all_of(&mut reading).await;
            let first = String::from_utf8_lossy(first.get(..length).unwrap_or_default());
            (format!("{first}{rest}"), before)
        };
        let ((), (text, before)) =
            timeout(PATIENCE, async { tokio::join!(sending, listening) }).await?;
        Ok((Refusal::of_text(&text, opened.elapsed())?, before))
    }

    /// The answer; the request must have asked to close.
    pub async fn answer(mut self) -> anyhow::Result<Refusal> {
        let text = timeout(PATIENCE, all_of(&mut self.stream)).await?;
        Refusal::of_text(&text, self.opened.elapsed())
    }
}

/// Everything until the other side closes, in order or not.
async fn all_of(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        text.extend(piece.iter().take(length));
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends one request on a connection of its own.
pub async fn ask(
    user: &User,
    method: &str,
    path: &str,
    content: Option<(&str, &[u8])>,
) -> anyhow::Result<Refusal> {
    let mut headers = "Connection: close\r\n".to_owned();
    if let Some((kind, body)) = content {
        headers += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    }
    let mut connection = Connection::open().await?;
    // Both may fail where the answer comes before the request has been read: the answer counts.
    let head = head(user, method, path, &headers)?;
    let body = content.map_or(&[][..], |(_, body)| body);
    let whole = [head.as_bytes(), body].concat();
    if let Err(err) = connection.send(&whole).await {
        let answer = connection.answer().await;
        return answer.with_context(|| format!("the request was not taken: {err}"));
    }
    connection.answer().await
}
