//! [`FilesEdge`]: a stock nginx of this machine, told by one file per app in its `conf.d` and by reloads, as document
//! 001 describes it.
//!
//! Owns the files that it wrote, known by their first line, and when nginx reads them: written, tested, reloaded,
//! verified, else rolled back. Never touches a file that somebody else wrote, never starts nginx, and never decides what
//! is in a table.

mod certificates;
mod conf;
mod connections;
mod files;
mod nginx;
mod unfit;
mod visits;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::id::{Epoch, Generation};
use common::port::Edge;
use common::port::edge::{Error, FrontPorts, Status, Table, Traffic, Upstream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use conf::{Conf, Version};
use files::{Files, Owned};
use nginx::{Nginx, Told};
use unfit::Standing;
use visits::Visits;

/// nginx itself tries for 2.5 s to open a port that is held by somebody else.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// nginx ends its former workers 0.1 s after it began new ones: only who is answered by new ones for longer than that
/// knows that the former take no more connections.
const SETTLED_AFTER: Duration = Duration::from_millis(300);
/// The files and the running nginx without them fit, but nginx cannot read them with what stands beside them.
const CONF_REJECTED: &str = "LB_CONF_REJECTED";
/// nginx cannot read its files, and that is not our doing.
const CONF_FOREIGN: &str = "LB_CONF_FOREIGN";
/// nginx was told to read its files, and does not serve them.
const RELOAD_UNVERIFIED: &str = "LB_RELOAD_UNVERIFIED";
const PORT_TAKEN: &str = "LB_PORT_TAKEN";
const PROBE_INVALID: &str = "PROBE_INVALID";

/// Which nginx, and what it may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesSettings {
    /// The folder of which it includes `*.conf` where servers are described.
    pub conf_folder: PathBuf,
    /// Where it writes a line for each request.
    pub access_log: PathBuf,
    /// What tests its files, and what makes it read them: a program and its arguments.
    pub test: Vec<String>,
    pub reload: Vec<String>,
    /// On which address of this machine it listens.
    pub listen: IpAddr,
    pub first_port: u16,
    pub last_port: u16,
    pub host_port: u16,
    /// Where it answers us, on loopback.
    pub control_port: u16,
    /// nginx's `server_names_hash_bucket_size`; none where its own file sets it.
    pub names_hash_bucket: Option<u16>,
    /// From one reload to the next: each leaves workers behind until their last connection ends.
    pub reload_every: Duration,
}

/// A stock nginx on this machine, in its network. There is one teller per nginx.
#[derive(Debug)]
pub struct FilesEdge {
    settings: FilesSettings,
    files: Files,
    nginx: Nginx,
    /// Held while files are changed; when nginx was told to read them last.
    telling: Mutex<Option<Instant>>,
    /// Every replica that got requests, as long as some are under way.
    replicas: StdMutex<BTreeSet<SocketAddr>>,
    standing: StdMutex<Standing>,
    visits: Visits,
}

impl FilesEdge {
    pub fn new(settings: FilesSettings) -> Self {
        let control = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.control_port));
        FilesEdge {
            files: Files::new(settings.conf_folder.clone()),
            nginx: Nginx::new(control, settings.test.clone(), settings.reload.clone()),
            visits: Visits::new(settings.access_log.clone()),
            settings,
            telling: Mutex::new(None),
            replicas: StdMutex::default(),
            standing: StdMutex::default(),
        }
    }

    /// What nginx serves; before the first table that is the one before all.
    async fn served(&self, owned: &Owned) -> Result<Version, Error> {
        match self.nginx.serves().await {
            Ok(version) => Ok(version),
            Err(_) if owned.manifest().is_none() => Ok(Version::default()),
            Err(err) => Err(err),
        }
    }

    /// Whether the table is to be written at all.
    async fn is_news(&self, owned: &Owned, wanted: &Version) -> Result<bool, Error> {
        let stands = owned.manifest().map(|manifest| &manifest.version);
        // nginx may be silent because it was not told of the newest files, or is not there, which a reload shows.
        let (served, is_served) = match self.served(owned).await {
            Ok(served) => {
                let is_served = Some(&served) == stands;
                (served, is_served)
            }
            Err(_) => (stands.cloned().unwrap_or_default(), false),
        };
        let Version { epoch, generation, .. } = served;
        if wanted.order() < (epoch, generation) {
            return Err(Error::Stale { epoch, generation });
        }
        if wanted.order() > (epoch, generation) {
            return Ok(true);
        }
        if wanted.digest != served.digest {
            return Err(Error::Refused { code: "GENERATION_CONFLICT".to_owned() });
        }
        Ok(!is_served || !owned.damage().is_empty())
    }

    /// A change that was broken off is taken back, unless nginx serves it; whether it was.
    async fn took_back(&self) -> Result<bool, Error> {
        let Some(undo) = self.files.unsettled().await? else { return Ok(false) };
        let owned = self.files.look().await?;
        let served = self.nginx.serves().await.ok();
        if served.is_some() && served.as_ref() == owned.whole() {
            self.files.settle().await?;
            self.stands(None);
            return Ok(false);
        }
        tracing::warn!("a change of nginx's files was broken off; the former stand again");
        self.files.put_back(&undo).await?;
        Ok(true)
    }

    fn render(&self, table: &Table, wanted: Version, owned: &Owned) -> Result<Conf, Error> {
        conf::render(table, wanted, owned, &self.settings).map_err(|why| invalid(&why))
    }

    async fn tell(
        &self,
        conf: &Conf,
        owned: &Owned,
        last: &mut Option<Instant>,
    ) -> Result<(), Error> {
        let undo = self.files.replace(owned, conf).await?;
        let told = match self.nginx.test().await {
            Ok(Told::Done) => self.reload(&conf.version, last).await,
            Ok(Told::Refused(why)) => Err(Failed::Test(why)),
            Err(err) => Err(Failed::Untested(err)),
        };
        let Err(failed) = told else { return self.files.settle().await };
        self.files.put_back(&undo).await?;
        Err(self.back(failed, last).await?)
    }

    async fn reload(&self, wanted: &Version, last: &mut Option<Instant>) -> Result<(), Failed> {
        if let Some(last) = *last {
            sleep_until(last + self.settings.reload_every).await;
        }
        *last = Some(Instant::now());
        match self.nginx.reload().await {
            Ok(Told::Done) => self.wait_until_served(wanted).await,
            Ok(Told::Refused(why)) => Err(Failed::Reload(why)),
            Err(err) => Err(Failed::Unavailable(err)),
        }
    }

    async fn wait_until_served(&self, wanted: &Version) -> Result<(), Failed> {
        let deadline = Instant::now() + TAKEN_OVER_WITHIN;
        let mut since = None;
        loop {
            match self.nginx.serves().await {
                Ok(version) if version == *wanted => {
                    if since.get_or_insert_with(Instant::now).elapsed() >= SETTLED_AFTER {
                        return Ok(());
                    }
                }
                Ok(_) | Err(_) => since = None,
            }
            if Instant::now() >= deadline {
                return Err(Failed::Unverified);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The former files stand again: whether nginx reads those, and so whose fault it was.
    async fn back(&self, failed: Failed, last: &mut Option<Instant>) -> Result<Error, Error> {
        let refused = |code: &str| Error::Refused { code: code.to_owned() };
        match failed {
            Failed::Test(why) => match self.nginx.test().await? {
                Told::Done => {
                    tracing::error!(
                        why,
                        "nginx refuses the files of a table; the former stand again"
                    );
                    Ok(refused(CONF_REJECTED))
                }
                Told::Refused(why) => {
                    tracing::error!(why, "nginx refuses files that are not ours");
                    Ok(refused(CONF_FOREIGN))
                }
            },
            Failed::Untested(err) => Ok(err),
            Failed::Reload(why) => Ok(Error::Unavailable(why.into())),
            // It may still take what it was told: now it is told otherwise.
            Failed::Unavailable(err) => {
                *last = Some(Instant::now());
                self.nginx.reload().await?;
                Ok(err)
            }
            Failed::Unverified => {
                tracing::error!(
                    "nginx does not serve what it was told to; the former files stand again"
                );
                *last = Some(Instant::now());
                self.nginx.reload().await?;
                Ok(refused(RELOAD_UNVERIFIED))
            }
        }
    }

    /// Ports of others in the range, and of the table's those that nginx would have to open and cannot.
    async fn closed(&self, owned: &Owned) -> Result<Vec<u16>, Error> {
        let listening = connections::listening().await?;
        let ours = owned.ports();
        let range = self.settings.first_port..=self.settings.last_port;
        let own = [self.settings.host_port, self.settings.control_port];
        let closed =
            |port: &u16| own.contains(port) || (listening.contains(port) && !ours.contains(port));
        Ok(range.filter(closed).collect())
    }

    fn remember(&self, table: &Table) {
        let upstreams = table.routes.iter().flat_map(|route| &route.upstreams);
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        replicas.extend(upstreams.map(Upstream::address));
    }
}

fn invalid(why: &str) -> Error {
    tracing::error!(why, "a table cannot be served");
    Error::Refused { code: "TABLE_INVALID".to_owned() }
}

/// Why a change is taken back.
enum Failed {
    Test(String),
    /// The test did not come to an end.
    Untested(Error),
    Reload(String),
    Unavailable(Error),
    Unverified,
}

#[async_trait]
impl Edge for FilesEdge {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        let mut last = self.telling.lock().await;
        let took_back = self.took_back().await?;
        let owned = self.files.look().await?;
        let wanted = Version::of(table);
        let is_news = self.is_news(&owned, &wanted).await?;
        if !is_news && !took_back && !self.lacks_some(table) {
            return self.visits.are_served(table).await;
        }
        let conf = self.render(table, wanted, &owned)?;
        let closed = self.closed(&owned).await?;
        if let Some(port) =
            table.routes.iter().map(|route| route.front_port).find(|port| closed.contains(port))
        {
            tracing::error!(port, "a front port of the table belongs to another program");
            return Err(Error::Refused { code: PORT_TAKEN.to_owned() });
        }
        self.remember(table);
        match self.tell(&conf, &owned, &mut last).await {
            Err(Error::Refused { code }) if code == CONF_REJECTED => {
                return self.tell_without_unfit(table, &owned, &mut last).await;
            }
            told => told?,
        }
        self.stands(Some(table));
        self.visits.are_served(table).await
    }

    async fn status(&self) -> Result<Status, Error> {
        let owned = self.files.look().await?;
        let Version { epoch, generation, .. } = self.served(&owned).await?;
        let FilesSettings { first_port: first, last_port: last, host_port, .. } = self.settings;
        let ports = FrontPorts { first, last, closed: self.closed(&owned).await? };
        Ok(Status { epoch, generation, ports, host_port, damage: owned.damage() })
    }

    /// nginx opens a connection for each request that it passes on, so connections to replicas are counted: others of
    /// this machine with them, none too few.
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        let owned = self.files.look().await?;
        let counts = connections::towards().await?;
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        replicas.extend(owned.replicas());
        let serving = owned.replicas();
        replicas.retain(|replica| counts.contains_key(replica) || serving.contains(replica));
        let count = |replica: &SocketAddr| counts.get(replica).copied().unwrap_or_default();
        Ok(replicas.iter().map(|replica| (*replica, count(replica))).collect())
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        let in_flight = self.in_flight().await?;
        self.visits.traffic(in_flight).await
    }

    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error> {
        let FilesSettings { first_port, last_port, listen, .. } = self.settings;
        if !(first_port..=last_port).contains(&front_port) || !path.starts_with('/') {
            return Err(Error::Refused { code: PROBE_INVALID.to_owned() });
        }
        let ip = if listen.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen };
        self.nginx.probe(SocketAddr::new(ip, front_port), path).await
    }
}

impl Version {
    fn order(&self) -> (Epoch, Generation) {
        (self.epoch, self.generation)
    }
}
