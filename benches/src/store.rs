//! Writes that become durable in a second: the embedded store beside ZooKeeper.

use std::sync::atomic::{AtomicI64, Ordering};

use adapters::embedded::Folder;
use adapters::{EmbeddedStore, ZkStore, ZooKeeperSettings};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{MAX_OPS, Op, Path, Precondition, Version};

use crate::durable::{self, AT_ONCE, ROUND, ROUNDS, SIZE, Side};
use crate::figure::{Figure, Goal};

const GOAL: Goal = Goal::AtLeast(2000.0);
const FOLDER: &str = "/avishkar-bench";

/// Both acknowledge what is on the disk.
pub(crate) async fn measure(zookeeper: &str) -> anyhow::Result<Figure> {
    clear(zookeeper).await?;
    let place = durable::folder_on_the_engines_disk().await?;
    let own = EmbeddedStore::open(&Folder::open(place.path())?)?;
    let embedded = Writers::new("store: embedded", own.clone()).await?;
    let zookeeper = ZkStore::connect(&ZooKeeperSettings::new(zookeeper))?;
    let zookeeper = Writers::new("store: ZooKeeper", zookeeper).await?;
    let [embedded, zookeeper] = durable::in_turns(place.path(), [&embedded, &zookeeper]).await?;
    own.close().await?;
    let pairs: Vec<(f64, f64)> = embedded.into_iter().zip(zookeeper).collect();
    let note = format!(
        "{ROUNDS} rounds of {} s, {AT_ONCE} changes of records of {SIZE} bytes at once",
        ROUND.as_secs()
    );
    Ok(Figure::of_value_beside("embedded_store_writes_per_s", &pairs, GOAL).with_note(note))
}

/// Each changes a record of its own, over the version it left.
struct Writers<S> {
    name: &'static str,
    store: S,
    records: Vec<(Path, AtomicI64)>,
}

impl<S: Store> Writers<S> {
    async fn new(name: &'static str, store: S) -> anyhow::Result<Self> {
        let mut records = Vec::with_capacity(AT_ONCE);
        for writer in 0..AT_ONCE {
            let path: Path = format!("{FOLDER}/{writer}").parse()?;
            store.commit(vec![put(&path, Precondition::Absent)]).await?;
            records.push((path, AtomicI64::new(0)));
        }
        Ok(Writers { name, store, records })
    }
}

#[async_trait]
impl<S: Store> Side for Writers<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn write(&self, writer: usize) -> anyhow::Result<()> {
        let (path, version) = &self.records[writer];
        let over = Precondition::Version(Version(version.fetch_add(1, Ordering::Relaxed)));
        self.store.commit(vec![put(path, over)]).await?;
        Ok(())
    }
}

fn put(path: &Path, precondition: Precondition) -> Op {
    Op::Put { path: path.clone(), value: Bytes::from_static(&[b'x'; SIZE]), precondition }
}

/// Removes the records of this run, or of one that was killed.
pub(crate) async fn clear(zookeeper: &str) -> anyhow::Result<()> {
    let store = ZkStore::connect(&ZooKeeperSettings::new(zookeeper))?;
    let folder: Path = FOLDER.parse()?;
    store.sync().await?;
    let mut ops = Vec::new();
    for name in store.children(&folder).await? {
        ops.extend(removal(&store, folder.join(&name)?).await?);
    }
    ops.extend(removal(&store, folder).await?);
    for ops in ops.chunks(MAX_OPS) {
        store.commit(ops.to_vec()).await?;
    }
    Ok(())
}

async fn removal(store: &ZkStore, path: Path) -> anyhow::Result<Option<Op>> {
    let entry = store.get(&path).await?;
    Ok(entry.map(|entry| Op::Delete { path, version: entry.version }))
}
