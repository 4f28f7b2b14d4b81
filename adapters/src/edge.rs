//! [`NginxEdge`]: the edge container's nginx, told and asked through a table file and a control
//! socket on volumes shared with it.
//!
//! Owns how a table gets there and how requests under way are counted: picks that the edge reports,
//! minus ends in its access log. Never decides what is in a table.

mod access_log;
mod certificates;
mod control;
mod counting;
mod plain_files;
mod table_file;
mod tally;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::id::{Epoch, Generation};
use common::name::LegacyName;
use common::port::Edge;
use common::port::edge::{Error, FrontPorts, Status, Table, Traffic, Visits};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use control::Control;
use counting::{Counter, Counting, Desk};

pub use plain_files::{FilesEdge, FilesSettings};

/// How long all workers may take to serve a table that the edge has accepted.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often requests are counted while nobody asks: the log must not turn twice in between.
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// Where the edge's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSettings {
    /// The table it reads, `table.json`.
    pub table_file: PathBuf,
    /// Its control socket, `control.sock`.
    pub control_socket: PathBuf,
    /// Its access log, `access.log`.
    pub access_log: PathBuf,
}

impl EdgeSettings {
    /// The names the edge's image gives its files.
    pub fn new(table_folder: impl Into<PathBuf>, run_folder: impl Into<PathBuf>) -> Self {
        let run_folder = run_folder.into();
        EdgeSettings {
            table_file: table_folder.into().join("table.json"),
            control_socket: run_folder.join("control.sock"),
            access_log: run_folder.join("access.log"),
        }
    }
}

/// An nginx edge on this machine. There is one teller per edge.
#[derive(Debug)]
pub struct NginxEdge {
    control: Control,
    table_file: PathBuf,
    /// Held while a table is written and announced.
    telling: Mutex<()>,
    counter: Arc<Counter>,
    desk: Desk,
    _counter: AbortOnDropHandle<()>,
}

impl NginxEdge {
    /// Begins to count requests at once; the edge need not be there yet. Needs a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "the log is followed beside the calls")]
    pub fn new(settings: EdgeSettings) -> Self {
        let control = Control::new(&settings.control_socket);
        let desk = Desk::default();
        let counting = Counting::new(settings.access_log, desk.clone());
        let counter = Arc::new(Counter::new(counting));
        let counts = tokio::spawn(count_for_ever(control.clone(), Arc::clone(&counter)));
        NginxEdge {
            control,
            table_file: settings.table_file,
            telling: Mutex::new(()),
            counter,
            desk,
            _counter: AbortOnDropHandle::new(counts),
        }
    }

    async fn wait_until_served(&self, wanted: (Epoch, Generation)) -> Result<(), Error> {
        let deadline = Instant::now() + TAKEN_OVER_WITHIN;
        loop {
            let status = self.control.status().await?;
            if status.served() >= wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::Unavailable("not every worker serves the table".into()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn count_for_ever(control: Control, counter: Arc<Counter>) {
    loop {
        // Without an edge there is nothing to count; whoever asks is told why.
        drop(counter.count(&control).await);
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

#[async_trait]
impl Edge for NginxEdge {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        let wanted = (table.epoch, table.generation);
        let _one_at_a_time = self.telling.lock().await;
        table_file::write(&self.table_file, table).await?;
        match self.control.announce(wanted).await? {
            Ok(observed) => {
                self.desk.edge_serves(table);
                if observed < wanted { self.wait_until_served(wanted).await } else { Ok(()) }
            }
            Err(code) if code == "STALE_GENERATION" => {
                let (epoch, generation) = self.control.status().await?.served();
                Err(Error::Stale { epoch, generation })
            }
            Err(code) => Err(Error::Refused { code }),
        }
    }

    async fn status(&self) -> Result<Status, Error> {
        let status = self.control.status().await?;
        let (epoch, generation) = status.served();
        let ports = FrontPorts {
            first: status.ports.first,
            last: status.ports.last,
            closed: status.ports.closed,
        };
        self.desk.edge_has(&ports);
        Ok(Status { epoch, generation, ports, host_port: status.host_port, damage: status.damage })
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        self.desk.traffic()
    }

    /// What it counts is never below what is under way at replicas that get no new requests.
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        self.counter.count(&self.control).await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.control.visits().await
    }

    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error> {
        self.control.probe(front_port, path).await
    }
}
