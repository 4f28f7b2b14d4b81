//! Epochs: each start of a leader takes the next one, and every write of it checks that it is still the last.

use common::id::Epoch;
use common::port::Store;
use common::port::store::{Op, Path, Version};
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
    /// The check that belongs into every transaction of this leader: it fails once another leads.
    pub fn check(&self) -> Op {
        Op::Check { path: self.path.clone(), version: self.version }
    }
}

/// Takes the next epoch of a service. There is one instance of each service so far: whoever starts leads.
pub async fn lead(store: &dyn Store, service: ServiceName) -> Result<Lead, records::Error> {
    let path = path::epoch(service);
    let stored = records::load::<EpochRecord>(store, &path).await?;
    let (epoch, version) = match stored {
        Some(Stored { record, version }) => (record.epoch.next(), Some(version)),
        None => (Epoch(1), None),
    };
    let record = EpochRecord { schema: 1, epoch };
    let version = records::save(store, &path, &record, version).await?;
    Ok(Lead { epoch, path, version })
}
