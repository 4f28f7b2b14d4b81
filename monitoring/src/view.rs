//! What is read for people and programs: the records, read again at most once a second. So who stands by
//! answers the same as who leads.

use std::time::Duration;

use chassis::records;
use common::port::store::Path;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::discover::{self, Entry};
use crate::records::{Incident, TargetRecord, all, incidents, targets};
use crate::shared::Shared;

/// However many ask, the store is asked once in this time.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Kept<T> {
    read: Mutex<Option<(Instant, Vec<T>)>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { read: Mutex::const_new(None) }
    }
}

impl<T: Clone> Kept<T> {
    /// Whoever asks while somebody else reads gets what that one has read.
    async fn get(
        &self,
        read: impl Future<Output = Result<Vec<T>, records::Error>>,
    ) -> Result<Vec<T>, records::Error> {
        let mut kept = self.read.lock().await;
        if let Some((at, found)) = kept.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(found.clone());
        }
        let found = read.await?;
        *kept = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct View {
    targets: Kept<TargetRecord>,
    incidents: Kept<Incident>,
    services: Kept<Entry>,
    apps: Kept<Entry>,
}

impl View {
    pub(crate) async fn targets(
        &self,
        shared: &Shared,
    ) -> Result<Vec<TargetRecord>, records::Error> {
        self.targets.get(of(shared, &targets())).await
    }

    pub(crate) async fn incidents(&self, shared: &Shared) -> Result<Vec<Incident>, records::Error> {
        self.incidents.get(of(shared, &incidents())).await
    }

    /// The services of document 001's registry.
    pub(crate) async fn services(&self, shared: &Shared) -> Result<Vec<Entry>, records::Error> {
        self.services.get(discover::registry(shared, "/services")).await
    }

    /// The replicas of document 001's registry.
    pub(crate) async fn apps(&self, shared: &Shared) -> Result<Vec<Entry>, records::Error> {
        self.apps.get(discover::registry(shared, "/apps")).await
    }
}

async fn of<T: DeserializeOwned>(shared: &Shared, folder: &Path) -> Result<Vec<T>, records::Error> {
    Ok(all(shared, folder).await?.into_iter().map(|stored| stored.record).collect())
}
