//! An app manager of a few lines: answers each request by a function, and keeps what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What comes back.
pub(crate) enum Answer {
    /// Status and body.
    Says(u16, String),
    /// Records of a topic from this offset on, a line each.
    Reads(i64, String),
    HangsUp,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `METHOD path`.
    pub(crate) line: String,
    pub(crate) body: String,
    /// Its `Idempotency-Key`.
    pub(crate) key: Option<String>,
}

/// Serves until the test process ends.
pub(crate) struct FakePlatform {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakePlatform {
    /// `answer` gets the request and how many of the same line there were before it.
    pub(crate) fn start(answer: impl Fn(&str, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                let mut kept = kept.lock().unwrap();
                let before = kept.iter().filter(|earlier| earlier.line == request.line).count();
                let line = request.line.clone();
                kept.push(request);
                drop(kept);
                let (status, header, body) = match answer(&line, before) {
                    Answer::Says(status, body) => (status, String::new(), body),
                    Answer::Reads(from, body) => (200, format!("x-offset: {from}\r\n"), body),
                    Answer::HangsUp => continue,
                };
                let length = body.len();
                // A client that has gone away, as `logs | head` does, is no fault.
                drop(write!(
                    stream,
                    "HTTP/1.1 {status} x\r\n{header}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                ));
            }
        });
        FakePlatform { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &mut TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let line = next().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        let header = next().to_ascii_lowercase();
        if let Some(stated) = header.strip_prefix("content-length: ") {
            length = stated.parse().unwrap();
        } else if let Some(stated) = header.strip_prefix("idempotency-key: ") {
            key = Some(stated.to_owned());
        } else if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Request { line, body: String::from_utf8_lossy(&body).into_owned(), key }
}
