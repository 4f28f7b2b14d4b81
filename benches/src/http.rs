//! HTTP/1.1 by hand, as cheap as it can be: a client that shares two cores with what it measures must not be the limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How often an endpoint is asked whether it answers by now.
const POLL_EVERY: Duration = Duration::from_millis(1);
/// How long one such question waits for its answer.
const ATTEMPT_WITHIN: Duration = Duration::from_millis(250);
const LARGEST_HEAD: usize = 64 * 1024;

/// A connection that may carry many exchanges.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
    body_at: usize,
}

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the server ends the connection after it.
    pub(crate) closes: bool,
    length: usize,
}

impl Connection<TcpStream> {
    pub(crate) async fn open(at: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Connection::over(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Connection { stream, buffer: Vec::new(), body_at: 0 }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        self.body_at = loop {
            if let Some(end) = end_of_head(&self.buffer) {
                break end;
            }
            if self.buffer.len() > LARGEST_HEAD {
                return Err(not_http());
            }
            self.read_more().await?;
        };
        let answer = self.buffer.get(..self.body_at).and_then(parse).ok_or_else(not_http)?;
        while self.buffer.len() < self.body_at + answer.length {
            self.read_more().await?;
        }
        Ok(answer)
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(self.body_at..).unwrap_or_default()
    }

    async fn read_more(&mut self) -> io::Result<()> {
        self.buffer.reserve(4096);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn not_http() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP with a length")
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Only answers with a length, or that never have a body, are understood.
fn parse(head: &[u8]) -> Option<Answer> {
    let mut lines = str::from_utf8(head).ok()?.lines();
    let status: u16 = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let length = if matches!(status, 204 | 304) { Some(0) } else { length };
    Some(Answer { status, closes, length: length? })
}

/// A plain request for `/`.
pub(crate) fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// A plain request for `/` after which the connection ends.
pub(crate) fn get_once(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Asks every millisecond, each time on a new connection, until the answer is 200; tells when that was.
pub(crate) async fn first_200(
    at: SocketAddr,
    host: &str,
    within: Duration,
) -> anyhow::Result<Instant> {
    let request = get(host);
    let give_up = Instant::now() + within;
    loop {
        let attempt = timeout(ATTEMPT_WITHIN, status(at, &request)).await;
        let now = Instant::now();
        if matches!(attempt, Ok(Ok(200))) {
            return Ok(now);
        }
        ensure!(now < give_up, "{host} at {at} did not answer 200 within {within:?}: {attempt:?}");
        sleep(POLL_EVERY).await;
    }
}

/// What the answer to `/` is now.
pub(crate) async fn status(at: SocketAddr, request: &[u8]) -> io::Result<u16> {
    // The edge answers in pieces where it refuses: the first line is enough here.
    let mut connection = Connection::open(at).await?;
    connection.stream.write_all(request).await?;
    while end_of_head(&connection.buffer).is_none() {
        connection.read_more().await?;
    }
    let line = str::from_utf8(connection.buffer.get(..12).unwrap_or_default());
    let status = line.ok().and_then(|line| line.get(9..)).and_then(|status| status.parse().ok());
    status.ok_or_else(not_http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whatever_the_case_of_their_names() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nConnection: Close\r\n\r\n";
        assert_eq!(parse(head), Some(Answer { status: 200, closes: true, length: 12 }));
        let head = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(parse(head), Some(Answer { status: 204, closes: false, length: 0 }));
    }

    #[test]
    fn an_answer_without_a_length_is_not_understood() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), None);
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
    }

    #[tokio::test]
    async fn answers_that_come_in_pieces_are_put_together_and_a_broken_one_is_an_error() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut connection = Connection::over(near);
        let server = async {
            let mut asked = vec![0; get("a").len()];
            far.read_exact(&mut asked).await.unwrap();
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
            far.read_exact(&mut asked).await.unwrap();
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").await.unwrap();
            drop(far);
        };
        let client = async {
            let request = get("a");
            assert_eq!(connection.ask(&request).await.unwrap().status, 200);
            assert_eq!(connection.body(), b"hello");
            let broken = connection.ask(&request).await.unwrap_err();
            assert_eq!(broken.kind(), io::ErrorKind::UnexpectedEof);
        };
        tokio::join!(server, client);
    }
}
