//! Enough of HTTP/1.1 for a client that sends lengths, and a connection that can be cut at any moment.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answer::{Answer, Request, answer};
use super::state::State;

/// The largest body of a request.
const LARGEST: usize = 1 << 20;

pub(super) async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

/// Answers one request after another, until one is not answered.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut stream).await {
        let answered = answer(&mut state.lock().unwrap_or_else(PoisonError::into_inner), &request);
        let Some(answered) = answered else { return };
        if stream.write_all(&written(&answered)).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = head.iter().skip(1).filter_map(|line| line.split_once(':'));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: String::new(),
    };
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0).min(LARGEST)];
    stream.read_exact(&mut body).await?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

fn written(answer: &Answer) -> Vec<u8> {
    let body = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
    let mut text = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", answer.status, body.len());
    for (name, value) in &answer.headers {
        write!(text, "{name}: {value}\r\n").expect("text can be written to");
    }
    format!("{text}content-type: application/json\r\n\r\n{body}").into_bytes()
}
