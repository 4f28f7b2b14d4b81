//! [`Flaw`]: what a broken store does otherwise; by itself, nothing.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path};
use futures::stream::BoxStream;
use testkit::MemoryStore;
use testkit::contract::store::World;

/// One client of the broken store.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) store: MemoryStore,
    /// A session beside all clients, to look at what is there.
    pub(super) tree: MemoryStore,
    pub(super) number: u64,
}

pub(super) type Hints = BoxStream<'static, Change>;

#[async_trait]
pub(super) trait Flaw: Debug + Send + Sync + 'static {
    fn opened(&self, _client: &Client) {}

    async fn get(&self, client: &Client, path: &Path) -> Result<Option<Entry>, Error> {
        client.store.get(path).await
    }

    async fn children(&self, client: &Client, path: &Path) -> Result<Vec<String>, Error> {
        client.store.children(path).await
    }

    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        client.store.commit(ops).await
    }

    async fn sync(&self, client: &Client) -> Result<(), Error> {
        client.store.sync().await
    }

    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        client.store.watch(path).await
    }

    /// Before its session ends.
    fn closing(&self, _client: &Client) {}
}

/// A client of a store in memory with a flaw.
#[derive(Debug)]
struct Flawed {
    client: Client,
    flaw: Arc<dyn Flaw>,
}

#[async_trait]
impl Store for Flawed {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        self.flaw.get(&self.client, path).await
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.flaw.children(&self.client, path).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.flaw.commit(&self.client, ops).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.flaw.sync(&self.client).await
    }

    async fn watch(&self, path: &Path) -> Result<Hints, Error> {
        self.flaw.watch(&self.client, path).await
    }
}

impl Drop for Flawed {
    fn drop(&mut self) {
        self.flaw.closing(&self.client);
    }
}

/// A tree whose clients have one flaw.
pub(super) struct Clients {
    tree: MemoryStore,
    flaw: Arc<dyn Flaw>,
    opened: AtomicU64,
    last: Mutex<Weak<Flawed>>,
}

impl Clients {
    pub(super) fn with(flaw: impl Flaw) -> Self {
        Clients {
            tree: MemoryStore::new(),
            flaw: Arc::new(flaw),
            opened: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

#[async_trait(?Send)]
impl World for Clients {
    async fn open(&self) -> Arc<dyn Store> {
        let (store, tree) = (self.tree.session(), self.tree.clone());
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let client = Client { store, tree, number };
        self.flaw.opened(&client);
        let client = Arc::new(Flawed { client, flaw: Arc::clone(&self.flaw) });
        *self.last.lock().unwrap() = Arc::downgrade(&client);
        client
    }

    fn cut(&self) -> bool {
        let last = self.last.lock().unwrap().upgrade().unwrap();
        last.client.store.reconnect();
        true
    }
}
