//! Requests as somebody hostile sends them: no library makes their paths plain first.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends one request; returns the status of its answer.
pub(super) async fn put(address: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    let mut head = format!("PUT {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    connection.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Every byte but letters and digits encoded, and no slash.
pub(super) fn encoded(path: &str, name: &[u8]) -> String {
    let bytes = name.iter().map(|byte| {
        if byte.is_ascii_alphanumeric() || *byte == b'/' {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    format!("{path}/{}", bytes.collect::<String>())
}
