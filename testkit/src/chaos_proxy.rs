//! [`ChaosProxy`]: stands between a client and a real server, and breaks the connection on demand.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The largest piece that is forwarded at once.
const PIECE: usize = 64 * 1024;

/// Forwards TCP connections to a server. Dropping it cuts them all.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    flow: Flow,
    /// Connections end when this changes.
    cuts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Forward,
    /// Nothing moves; connections stay open.
    Stall,
    /// Connections are closed as soon as they open.
    Refuse,
    /// The next request larger than this reaches the server, its answer is withheld and the connection cut.
    CutBeforeReply {
        larger_than: usize,
    },
}

impl ChaosProxy {
    /// Listens on a free port of the loopback interface, in front of `server` (`host:port`).
    pub async fn start(server: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (orders, _) = watch::channel(Orders { flow: Flow::Forward, cuts: 0 });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server.to_owned(), orders.clone()));
        Ok(ChaosProxy { address, orders, _accepting: accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request of more than `larger_than` bytes reaches the server and has its effect, but
    /// the connection is cut before the answer comes through. Small pieces, such as pings, pass.
    pub fn cut_before_reply(&self, larger_than: usize) {
        self.order(Flow::CutBeforeReply { larger_than });
    }

    /// Connections stay open, and nothing moves, until [`forward`](Self::forward).
    pub fn stall(&self) {
        self.order(Flow::Stall);
    }

    /// Cuts all connections and lets no new one through until [`forward`](Self::forward).
    pub fn refuse(&self) {
        self.order(Flow::Refuse);
        self.cut();
    }

    /// Everything passes again.
    pub fn forward(&self) {
        self.order(Flow::Forward);
    }

    /// Cuts all connections; new ones pass.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    fn order(&self, flow: Flow) {
        self.orders.send_modify(|orders| orders.flow = flow);
    }
}

async fn accept(listener: TcpListener, server: String, orders: watch::Sender<Orders>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        if orders.borrow().flow == Flow::Refuse {
            continue;
        }
        let Ok(server) = TcpStream::connect(&server).await else { continue };
        connections.spawn(relay(client, server, orders.clone()));
    }
}

/// Moves pieces both ways until an end closes or the connection is cut.
async fn relay(mut client: TcpStream, mut server: TcpStream, orders: watch::Sender<Orders>) {
    let mut seen = orders.subscribe();
    let cuts = seen.borrow_and_update().cuts;
    let mut from_client = vec![0; PIECE];
    let mut from_server = vec![0; PIECE];
    let mut withhold_reply = false;
    let is_cut = |orders: &Orders| orders.cuts != cuts;
    loop {
        let stalled = seen.borrow().flow == Flow::Stall;
        tokio::select! {
            biased;
            changed = seen.changed() => {
                if changed.is_err() || is_cut(&seen.borrow_and_update()) {
                    return;
                }
            }
            read = client.read(&mut from_client), if !stalled => {
                let Some(piece) = piece(&from_client, read) else { return };
                withhold_reply |= take_cut_order(&orders, piece.len());
                if server.write_all(piece).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server), if !stalled => {
                let Some(piece) = piece(&from_server, read) else { return };
                if withhold_reply || client.write_all(piece).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What was read; none at the end.
fn piece(buffer: &[u8], read: std::io::Result<usize>) -> Option<&[u8]> {
    read.ok().filter(|size| *size > 0).and_then(|size| buffer.get(..size))
}

/// Whether this request is the one whose answer is withheld.
fn take_cut_order(orders: &watch::Sender<Orders>, size: usize) -> bool {
    orders.send_if_modified(|orders| {
        let taken =
            matches!(orders.flow, Flow::CutBeforeReply { larger_than } if size > larger_than);
        if taken {
            orders.flow = Flow::Forward;
        }
        taken
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every piece with the same piece.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 1024];
                while let Ok(size @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..size]).await.is_err() {
                        break;
                    }
                }
            }
        });
        (address, tasks)
    }

    async fn ask(stream: &mut TcpStream, question: &[u8]) -> Option<Vec<u8>> {
        stream.write_all(question).await.ok()?;
        let mut answer = vec![0; question.len()];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }

    #[tokio::test]
    async fn it_forwards_until_told_to_cut_before_a_reply() {
        let (server, _tasks) = echo().await;
        let proxy = ChaosProxy::start(&server.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream, b"hello").await.as_deref(), Some(&b"hello"[..]));
        proxy.cut_before_reply(3);
        assert_eq!(ask(&mut stream, b"abc").await.as_deref(), Some(&b"abc"[..]));
        assert_eq!(ask(&mut stream, b"hello").await, None);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream, b"hello").await.as_deref(), Some(&b"hello"[..]));
    }

    #[tokio::test]
    async fn refusing_cuts_what_is_open_and_what_comes() {
        let (server, _tasks) = echo().await;
        let proxy = ChaosProxy::start(&server.to_string()).await.unwrap();
        let mut open = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(ask(&mut open, b"hello").await.is_some());
        proxy.refuse();
        assert_eq!(ask(&mut open, b"hello").await, None);
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut new, b"hello").await, None);
    }
}
