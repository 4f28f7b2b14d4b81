//! What is read again, and what is not.

use async_trait::async_trait;
use bytes::Bytes;
use common::port::store::{Change, Done, Entry, Error, Precondition};
use common::record;
use futures::stream::BoxStream;
use testkit::MemoryStore;

use super::*;

/// A store that tells which records were read.
#[derive(Debug)]
struct Watched {
    store: MemoryStore,
    read: Mutex<Vec<String>>,
}

impl Watched {
    fn of(leases: &[(u16, &str)]) -> Self {
        let watched = Watched { store: MemoryStore::new(), read: Mutex::default() };
        for (port, instance) in leases {
            watched.store.seed(&path::edge_port(*port), lease(instance));
        }
        watched
    }

    /// What was read since the last call.
    fn taken(&self) -> Vec<String> {
        let mut read = mem::take(&mut *self.read.lock().unwrap());
        read.sort();
        read
    }
}

#[async_trait]
impl Store for Watched {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        self.read.lock().unwrap().push(path.name().to_owned());
        self.store.get(path).await
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.store.children(path).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.store.commit(ops).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.store.sync().await
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        self.store.watch(path).await
    }
}

fn lease(instance: &str) -> Bytes {
    let instance = instance.parse().unwrap();
    record::encode(&FrontPortLease { schema: 1, instance, released_at: None })
}

async fn leases(books: &Books, store: &Watched) -> Vec<(String, String)> {
    let kept = books.leases.read(store).await.unwrap();
    kept.into_iter().map(|(name, lease)| (name, lease.record.instance.to_string())).collect()
}

/// A new lease.
fn set(port: u16, instance: &str) -> Vec<Op> {
    let (path, value) = (path::edge_port(port), lease(instance));
    vec![Op::Put { path, value, precondition: Precondition::Absent }]
}

fn are(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(port, instance)| ((*port).to_owned(), (*instance).to_owned())).collect()
}

#[tokio::test]
async fn a_change_of_one_reads_no_other() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a"), (2001, "b"), (2002, "c")]));
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b"), ("2002", "c")]));
    assert_eq!(store.taken(), ["2000", "2001", "2002"]);
    leases(&books, &store).await;
    assert!(store.taken().is_empty());

    let changes = set(2003, "d");
    let writing = books.writing(&changes);
    store.commit(changes).await.unwrap();
    drop(writing);
    let now = are(&[("2000", "a"), ("2001", "b"), ("2002", "c"), ("2003", "d")]);
    assert_eq!(leases(&books, &store).await, now);
    assert_eq!(store.taken(), ["2003"]);

    let gone = vec![Op::Delete {
        path: path::edge_port(2001),
        version: store.store.get(&path::edge_port(2001)).await.unwrap().unwrap().version,
    }];
    let writing = books.writing(&gone);
    store.commit(gone).await.unwrap();
    drop(writing);
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2002", "c"), ("2003", "d")]));
    assert_eq!(store.taken(), ["2001"]);
}

#[tokio::test]
async fn what_is_written_while_it_is_read_is_read_again() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    let changes = set(2001, "b");
    let writing = books.writing(&changes);
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a")]));
    // It took effect, and nobody heard of it.
    store.commit(changes).await.unwrap();
    drop(writing);
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b")]));
}

#[tokio::test]
async fn what_took_effect_is_read_though_its_writer_has_not_heard_of_it() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    leases(&books, &store).await;
    let changes = set(2001, "b");
    let writing = books.writing(&changes);
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a")]));
    store.commit(changes).await.unwrap();
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b")]));
    drop(writing);
    leases(&books, &store).await;
    store.taken();
    leases(&books, &store).await;
    assert!(store.taken().is_empty());
}

#[tokio::test]
async fn what_others_wrote_is_read_where_it_was_forgotten() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    leases(&books, &store).await;
    store.store.seed(&path::edge_port(2001), lease("b"));
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a")]));
    books.forget();
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b")]));
}

#[tokio::test]
async fn what_could_not_be_read_stays_due() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    store.store.go_down();
    assert!(books.leases.read(&store).await.is_err());
    store.store.come_back();
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a")]));

    let changes = set(2001, "b");
    let writing = books.writing(&changes);
    store.commit(changes).await.unwrap();
    drop(writing);
    store.store.go_down();
    assert!(books.leases.read(&store).await.is_err());
    store.store.come_back();
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b")]));
}

#[tokio::test]
async fn a_copy_that_is_old_is_not_kept() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    leases(&books, &store).await;
    store.store.freeze_reads();
    let changes = set(2001, "b");
    let writing = books.writing(&changes);
    store.store.session().commit(changes).await.unwrap();
    drop(writing);
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a"), ("2001", "b")]));
}

#[tokio::test]
async fn what_is_not_readable_costs_itself_alone() {
    let (books, store) = (Books::new(), Watched::of(&[(2000, "a")]));
    store.store.seed(&path::edge_port(2001), Bytes::from_static(b"{"));
    assert_eq!(leases(&books, &store).await, are(&[("2000", "a")]));
}
