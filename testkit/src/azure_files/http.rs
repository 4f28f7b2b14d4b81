//! As much of HTTP/1.1 as questions without a body need.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A head has no more bytes.
const LONGEST: usize = 64 * 1024;

/// A question.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it was sent, encoded.
    pub(super) path: String,
    /// As it was sent, encoded.
    pub(super) query: String,
    /// By their names in small letters.
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// What is said of the body's length where the body is not sent.
    pub(super) length: Option<u64>,
    /// The connection ends in the midst of the body.
    pub(super) is_cut: bool,
}

/// The next question of a connection; none at its end.
pub(super) async fn read(connection: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST {
            return None;
        }
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers })
}

pub(super) async fn write(
    connection: &mut TcpStream,
    request: &Request,
    answer: &Answer,
) -> io::Result<()> {
    let length = answer.length.unwrap_or(answer.body.len() as u64);
    let mut head = format!("HTTP/1.1 {} x\r\ncontent-length: {length}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{head}\r\n").as_bytes()).await?;
    if request.method != "HEAD" {
        let end = if answer.is_cut { answer.body.len() / 2 } else { answer.body.len() };
        connection.write_all(&answer.body[..end]).await?;
    }
    connection.flush().await
}
