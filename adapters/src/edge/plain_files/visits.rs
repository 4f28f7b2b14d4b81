//! What was asked of apps: the access log that nginx writes for us, added up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use common::port::edge::{Error, Table, Traffic};
use tokio::time::Instant;

use super::files::blocking;
use crate::edge::access_log::AccessLog;

#[derive(Debug, Clone)]
pub(super) struct Visits {
    log: Arc<Mutex<AccessLog>>,
}

impl Visits {
    pub(super) fn new(log: PathBuf) -> Self {
        Visits { log: Arc::new(Mutex::new(AccessLog::new(log))) }
    }

    /// Requests count for the apps of this table from now on. What nginx wrote before the first is nobody's.
    pub(super) async fn are_served(&self, table: &Table) -> Result<(), Error> {
        let (log, table) = (Arc::clone(&self.log), table.clone());
        let now = Instant::now();
        blocking(move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.advance()?;
            log.tally().serves(&table, now);
            Ok(())
        })
        .await
    }

    pub(super) async fn traffic(
        &self,
        in_flight: BTreeMap<SocketAddr, u64>,
    ) -> Result<Traffic, Error> {
        let log = Arc::clone(&self.log);
        let now = Instant::now();
        blocking(move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.advance()?;
            log.tally().forget(&in_flight, now);
            Ok(log.tally().traffic.with_in_flight(&in_flight))
        })
        .await
    }
}
