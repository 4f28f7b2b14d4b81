//! The `ZooKeeper` tree as it is: whole folders, read at once.

use std::collections::BTreeMap;

use adapters::zookeeper::{ZkStore, ZooKeeperSettings};
use anyhow::Context as _;
use bytes::Bytes;
use common::port::Store as _;
use common::port::store::Path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;

/// How many records are asked for at once.
const AT_ONCE: usize = 128;

/// The values of some folders by path; records without a value are folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    values: BTreeMap<String, Bytes>,
}

impl Tree {
    /// Reads these folders and all that is below them; `servers` are `host:port`, separated by commas.
    pub(crate) async fn read(servers: &str, folders: &[&str]) -> anyhow::Result<Self> {
        let store = ZkStore::connect(&ZooKeeperSettings::new(servers))?;
        store.sync().await?;
        let mut level: Vec<Path> =
            folders.iter().map(|folder| folder.parse()).collect::<Result<_, _>>()?;
        let mut values = BTreeMap::new();
        while !level.is_empty() {
            let store = &store;
            let asked = stream::iter(level).map(|path| async move {
                let (entry, children) =
                    futures::try_join!(store.get(&path), store.children(&path))?;
                anyhow::Ok((path, entry, children))
            });
            let found: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
            level = Vec::new();
            for (path, entry, children) in found {
                for child in children {
                    level.push(path.join(&child)?);
                }
                if let Some(entry) = entry.filter(|entry| !entry.value.is_empty()) {
                    values.insert(path.to_string(), entry.value);
                }
            }
        }
        Ok(Tree { values })
    }

    /// The records below a folder by what their path says after it.
    pub(crate) fn below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes)> + 'a {
        self.values.iter().filter_map(move |(path, value)| {
            let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
            Some((rest, value))
        })
    }

    /// The records below a folder by their own names, decoded.
    pub(crate) fn records<T: DeserializeOwned>(
        &self,
        folder: &str,
    ) -> anyhow::Result<BTreeMap<String, T>> {
        let decoded = |(path, value): (&str, &Bytes)| {
            let name = path.rsplit('/').next().unwrap_or(path).to_owned();
            let record = serde_json::from_slice(value)
                .with_context(|| format!("{folder}/{path} is not readable"))?;
            Ok((name, record))
        };
        self.below(folder).map(decoded).collect()
    }
}
