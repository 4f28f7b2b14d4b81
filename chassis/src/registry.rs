//! Document 001's registry of services: each service writes its own entry at start, unless a platform initializer has
//! placed it: then that one does.

use bytes::Bytes;
use common::port::Store;
use common::port::store::{self, Op, Precondition};
use common::record::path;
use common::service::ServiceName;

/// Writes `ip:port` as plain text to `/services/<name>/instance1`; does nothing where it stands already, or where the
/// platform initializer says how the service is found.
pub async fn register(
    store: &dyn Store,
    service: ServiceName,
    advertised: &str,
) -> Result<(), store::Error> {
    if store.get(&path::placed_service(service)).await?.is_some() {
        return Ok(());
    }
    let path = path::registry_service(service);
    let value = Bytes::copy_from_slice(advertised.as_bytes());
    let precondition = match store.get(&path).await? {
        Some(entry) if entry.value == value => return Ok(()),
        Some(entry) => Precondition::Version(entry.version),
        None => Precondition::Absent,
    };
    store.commit(vec![Op::Put { path, value, precondition }]).await.map(drop)
}
