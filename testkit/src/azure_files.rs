//! [`AzureFilesStandIn`]: a share of Azure Files that listens on this computer, for nobody emulates one.
//!
//! It keeps the published semantics of List Directories and Files, Get File and Get File Properties: pages and
//! markers, `ETag`s, ranges, error codes, names that XML cannot hold, Shared Key and account SAS, both verified, and the
//! date of a request. Files are put into it from within.

mod answer;
mod http;
mod tree;

pub mod shared_key;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use common::port::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::tree::Tree;

/// A share and its account. Dropping it ends it.
#[derive(Debug)]
pub struct AzureFilesStandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    account: Account,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What an account is called, what it signs with, and its share.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    /// In base64.
    pub key: String,
    pub share: String,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    /// The most names of a page, whatever a client asks for.
    page: usize,
    /// So many requests are still answered with "server busy".
    busy: u32,
    /// So many answers are still cut off in the midst of their bodies.
    cuts: u32,
    /// What was asked, in order: method, path and query.
    asked: Vec<String>,
}

impl AzureFilesStandIn {
    /// Begins to listen on a free port of the loopback interface.
    pub async fn start(account: Account, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state =
            State { tree: Tree::default(), page: 5000, busy: 0, cuts: 0, asked: Vec::new() };
        let shared = Arc::new(Shared { account, clock, state: Mutex::new(state) });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Ok(AzureFilesStandIn { address, shared, _accepting: accepting })
    }

    /// Where it listens, as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a file with the folders it is in; its path is taken apart at each slash and not looked at otherwise.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        self.lock().tree.put(path, content.into());
    }

    /// Writes a file of any name into a folder.
    pub fn plant(&self, folder: &str, name: &str) {
        self.lock().tree.plant(folder, name, Bytes::from_static(b"x"));
    }

    pub fn remove(&self, path: &str) {
        self.lock().tree.remove(path);
    }

    /// No page has more names from now on.
    pub fn set_page(&self, most: usize) {
        self.lock().page = most;
    }

    /// The next requests are answered with "server busy".
    pub fn be_busy(&self, times: u32) {
        self.lock().busy = times;
    }

    /// The next answers with bytes of files are cut off half-way.
    pub fn cut(&self, times: u32) {
        self.lock().cuts = times;
    }

    /// What was asked so far: method, path and query.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(serve(connection, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = http::read(&mut connection).await {
        let answer = answer::to(&request, &shared);
        if http::write(&mut connection, &request, &answer).await.is_err() || answer.is_cut {
            return;
        }
    }
}
