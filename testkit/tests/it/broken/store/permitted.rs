//! All that the contract lets a store do, and that no clause may mind.

use async_trait::async_trait;
use common::port::Store as _;
use common::port::store::{Change, Done, Error, Op, Path, check_limits};
use futures::StreamExt as _;
use futures::stream;

use super::flaw::{Client, Flaw, Hints};
use super::transactions::make_missing;

/// Reads are as stale as they may be; hints come twice, and with others that mean nothing; parents
/// stay when the transaction they were made for conflicts.
#[derive(Debug)]
pub(super) struct Everything;

#[async_trait]
impl Flaw for Everything {
    fn opened(&self, client: &Client) {
        client.store.freeze_reads();
    }

    async fn commit(&self, client: &Client, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        check_limits(&ops)?;
        let made: Vec<&Path> = ops.iter().filter(|op| op.value().is_some()).map(Op::path).collect();
        let outer = made.iter().filter_map(|path| path.parent());
        for parent in outer.filter(|parent| !made.iter().any(|made| parent.is_within(made))) {
            make_missing(client, parent).await?;
        }
        client.store.commit(ops).await
    }

    async fn watch(&self, client: &Client, path: &Path) -> Result<Hints, Error> {
        let noise = path.join("noise").unwrap();
        let hints = client.store.watch(path).await?;
        let twice =
            move |change: Change| stream::iter([Change::At(noise.clone()), change.clone(), change]);
        Ok(hints.flat_map(twice).boxed())
    }
}
