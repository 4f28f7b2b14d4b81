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
const LARGEST_CHUNK: usize = 64 * 1024 * 1024;

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
    length: Length,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    /// It comes in chunks, the last of which is empty.
    Chunks,
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
        match answer.length {
            Length::Known(length) => {
                while self.buffer.len() < self.body_at + length {
                    self.read_more().await?;
                }
            }
            Length::Chunks => {
                let body = loop {
                    let raw = self.buffer.get(self.body_at..).unwrap_or_default();
                    match joined(raw)? {
                        Some(body) => break body,
                        None => self.read_more().await?,
                    }
                };
                self.buffer.truncate(self.body_at);
                self.buffer.extend(body);
            }
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

/// What is in the chunks; none while the last one is missing.
fn joined(mut raw: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = raw.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = raw.get(..end).and_then(size).ok_or_else(not_http)?;
        let Some(chunk) = raw.get(end + 2..end + 2 + size) else { return Ok(None) };
        let after = end + 2 + size;
        let Some(mark) = raw.get(after..after + 2) else { return Ok(None) };
        if mark != b"\r\n" {
            return Err(not_http());
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend(chunk);
        raw = raw.get(after + 2..).unwrap_or_default();
    }
}

/// How long a chunk says it is.
fn size(word: &[u8]) -> Option<usize> {
    let size = usize::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
    (size <= LARGEST_CHUNK).then_some(size)
}

/// Only answers with a length or in chunks, or that never have a body, are understood.
fn parse(head: &[u8]) -> Option<Answer> {
    let mut lines = str::from_utf8(head).ok()?.lines();
    let status: u16 = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(Length::Known(value.parse().ok()?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = value.eq_ignore_ascii_case("chunked").then_some(Length::Chunks);
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let length = if matches!(status, 204 | 304) { Some(Length::Known(0)) } else { length };
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
        let length = Length::Known(12);
        assert_eq!(parse(head), Some(Answer { status: 200, closes: true, length }));
        let head = b"HTTP/1.1 204 No Content\r\n\r\n";
        let length = Length::Known(0);
        assert_eq!(parse(head), Some(Answer { status: 204, closes: false, length }));
    }

    #[test]
    fn an_answer_without_a_length_is_not_understood() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), None);
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
    }

    #[test]
    fn chunks_are_joined_once_the_last_one_is_there() {
        let raw = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        assert_eq!(joined(raw).unwrap(), Some(b"hello world".to_vec()));
        for end in 0..raw.len() {
            assert_eq!(joined(&raw[..end]).unwrap(), None, "{end} bytes");
        }
        assert!(joined(b"5\r\nhello, world").is_err(), "a chunk is longer than it says");
        assert!(joined(b"five\r\nhello").is_err());
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
