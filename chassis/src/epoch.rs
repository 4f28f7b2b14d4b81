//! Epochs: each leadership takes the next one, and every write of it checks that it is still the last.

use common::id::Epoch;
use common::port::Store;
use common::port::store::{self, Done, Op, Path, Version};
use common::record::epoch::EpochRecord;
use common::record::path;
use common::service::ServiceName;

use crate::records::{self, Stored};

/// A leadership of a service.
#[derive(Debug, Clone)]
pub struct Lead {
    pub epoch: Epoch,
    path: Path,
    version: Version,
}

impl Lead {
    /// The check that belongs into every transaction of this leadership: it fails once another leads.
    pub fn check(&self) -> Op {
        Op::Check { path: self.path.clone(), version: self.version }
    }

    /// Whether the store says so, too; what it says may be old.
    pub(crate) async fn stands(&self, store: &dyn Store) -> Result<bool, store::Error> {
        let entry = store.get(&self.path).await?;
        Ok(entry.is_some_and(|entry| entry.version == self.version))
    }
}

/// Takes the next epoch in the name of a candidate, whose record must still stand at that moment.
pub(crate) async fn take(
    store: &dyn Store,
    service: ServiceName,
    (candidate, standing): (&Path, Version),
) -> Result<Lead, records::Error> {
    let path = path::epoch(service);
    let stored = records::load::<EpochRecord>(store, &path).await?;
    let (epoch, before) = match stored {
        Some(Stored { record, version }) => (record.epoch.next(), Some(version)),
        None => (Epoch(1), None),
    };
    let record = EpochRecord { schema: 1, epoch, taken_by: candidate.name().to_owned() };
    let still_stands = Op::Check { path: candidate.clone(), version: standing };
    let put = records::put(path.clone(), &record, before);
    let version = match store.commit(vec![put, still_stands]).await {
        Ok(done) => done.first().and_then(Done::version).ok_or(records::Error::Changed)?,
        Err(store::Error::Conflict { .. }) => return Err(records::Error::Changed),
        Err(store::Error::OutcomeUnknown(_)) => {
            store.sync().await?;
            let stored = records::load::<EpochRecord>(store, &path).await?;
            let taken = stored.filter(|stored| stored.record == record);
            taken.ok_or(records::Error::Changed)?.version
        }
        Err(err) => return Err(err.into()),
    };
    Ok(Lead { epoch, path, version })
}
