//! Apps' networks: one bridge per instance and none between instances; and one for builds.
//!
//! Making a network costs the engine a quarter of a container's start, so a few are made ahead: an
//! instance takes a free one for itself, and it is free again after the instance's last container.
//! Which instance has which is read from the containers; nothing is stored.

mod neighbours;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::Docker;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    InspectNetworkOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
};
use common::name::InstanceName;
use common::port::container::label;
use common::port::containers::Error;
use tokio::sync::OnceCell;

use super::body::{APP, NETWORK};
use super::failure::{attempt, classify, is_missing, said, within};
use super::subnets::Subnets;
use super::{QUICK, START, Settings};
use table::{Released, Table};

const NAME: &str = "avishkar_net_";
/// Bridges are called so, and the firewall knows them by it.
const BRIDGE: &str = "avk";
/// Stands where an app's network has its number.
const BUILDS: &str = "build";
const BRIDGE_OPTION: &str = "com.docker.network.bridge.name";
/// How many numbers are tried when others hold their addresses.
const TRIES: usize = 64;

#[derive(Debug)]
pub(super) struct Networks {
    docker: Docker,
    subnets: Subnets,
    home: Option<String>,
    loaded: OnceCell<()>,
    table: Mutex<Table>,
    /// Networks are made one after another: the engine would make two of one name.
    making: tokio::sync::Mutex<()>,
}

/// An instance's hold on its network while a container is being made. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Claim {
    networks: Arc<Networks>,
    instance: InstanceName,
    number: u32,
}

impl Claim {
    pub(super) fn network(&self) -> String {
        format!("{NAME}{}", self.number)
    }

    /// Makes the network again: someone removed it.
    pub(super) async fn remake(&self) -> Result<(), Error> {
        let _making = self.networks.making.lock().await;
        self.networks.create(&self.number.to_string(), self.number).await.map(drop)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.networks.table().let_go(&self.instance);
    }
}

impl Networks {
    pub(super) fn new(docker: Docker, settings: &Settings) -> Self {
        Networks {
            docker,
            subnets: settings.subnets,
            home: settings.home.clone(),
            loaded: OnceCell::new(),
            table: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network of an instance: its own, a free one, or a new one.
    pub(super) async fn claim(self: &Arc<Self>, instance: &InstanceName) -> Result<Claim, Error> {
        self.loaded.get_or_try_init(|| self.load()).await?;
        loop {
            let claimed = self.table().claim(instance);
            if let Some(number) = claimed {
                let networks = Arc::clone(self);
                return Ok(Claim { networks, instance: instance.clone(), number });
            }
            self.make_one().await?;
        }
    }

    /// How often the instance was claimed so far: what [`Networks::release`] wants to know.
    pub(super) fn claims(&self, instance: &InstanceName) -> u64 {
        self.table().claims(instance)
    }

    /// The instance has no container any more, seen after `claims` was read. A claim in the meantime
    /// keeps the network.
    pub(super) async fn release(&self, instance: &InstanceName, claims: u64) {
        let released = self.table().release(instance, claims);
        if let Released::Surplus(number) = released
            && let Err(err) = self.remove(number).await
        {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                network = number,
                "a network nobody uses stays"
            );
            self.table().add(number);
        }
    }

    /// Makes free networks ahead, without the caller waiting for it.
    #[expect(clippy::disallowed_methods, reason = "an adapter may work ahead on its own")]
    pub(super) fn work_ahead(self: &Arc<Self>) {
        if !self.table().wants_spares() {
            return;
        }
        let networks = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(err) = networks.fill_up().await {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "no network was made ahead"
                );
            }
        });
    }

    async fn fill_up(&self) -> Result<(), Error> {
        self.loaded.get_or_try_init(|| self.load()).await?;
        while self.table().wants_spares() {
            self.make_one().await?;
        }
        Ok(())
    }

    /// Reads which networks there are, and which instance uses which.
    async fn load(&self) -> Result<(), Error> {
        let ours =
            |value: &str| HashMap::from([("label", vec![format!("{}={value}", label::PLATFORM)])]);
        let filters = ours(NETWORK);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let networks = within(QUICK, self.docker.list_networks(Some(options))).await?;
        let filters = ours(APP);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = within(QUICK, self.docker.list_containers(Some(options))).await?;

        let there: BTreeSet<u32> =
            networks.iter().filter_map(|network| number(network.name.as_deref()?)).collect();
        // After a restart of the machine the kernel has forgotten it.
        for number in &there {
            neighbours::quicken(&format!("{BRIDGE}{number}"));
        }
        let mut used = BTreeMap::new();
        for container in containers {
            let mode = container.host_config.and_then(|host| host.network_mode);
            let labels = container.labels.unwrap_or_default();
            let instance = labels.get(label::INSTANCE).and_then(|text| text.parse().ok());
            if let (Some(number), Some(instance)) = (mode.as_deref().and_then(number), instance) {
                used.insert(number, instance);
            }
        }
        *self.table() = Table::new(&there, used);
        Ok(())
    }

    /// Makes one more free network.
    async fn make_one(&self) -> Result<(), Error> {
        let _making = self.making.lock().await;
        if self.table().has_spares() {
            return Ok(());
        }
        let number = self.make(|number| number.to_string()).await?;
        self.table().add(number);
        Ok(())
    }

    /// The network in which builds run their steps: no app's, and behind the same firewall. One is
    /// enough, as a machine builds one image at a time.
    pub(super) async fn for_builds(&self) -> Result<String, Error> {
        self.loaded.get_or_try_init(|| self.load()).await?;
        let _making = self.making.lock().await;
        let network = format!("{NAME}{BUILDS}");
        let options = None::<InspectNetworkOptions>;
        match attempt(QUICK, self.docker.inspect_network(&network, options)).await? {
            Ok(_) => return Ok(network),
            Err(err) if is_missing(&err) => {}
            Err(err) => return Err(classify(err)),
        }
        let number = self.make(|_| BUILDS.to_owned()).await?;
        self.table().shun(number);
        Ok(network)
    }

    /// Makes a network of addresses that nobody uses, and gives their number.
    async fn make(&self, name: impl Fn(u32) -> String) -> Result<u32, Error> {
        for _ in 0..TRIES {
            let number = self.table().unused_number(self.subnets.count());
            let Some(number) = number else { break };
            match self.create(&name(number), number).await? {
                Created::Yes => return Ok(number),
                Created::AddressesTaken => self.table().shun(number),
            }
        }
        Err(Error::Refused(format!(
            "no addresses for one more network are left in {}",
            self.subnets
        )))
    }

    async fn create(&self, name: &str, number: u32) -> Result<Created, Error> {
        let Some(subnet) = self.subnets.subnet(number) else { return Ok(Created::AddressesTaken) };
        let addresses = IpamConfig { subnet: Some(subnet), ..IpamConfig::default() };
        let bridge = (BRIDGE_OPTION.to_owned(), format!("{BRIDGE}{name}"));
        let home = self.home.iter().map(|home| (label::HOME.to_owned(), home.clone()));
        let kind = (label::PLATFORM.to_owned(), NETWORK.to_owned());
        let request = NetworkCreateRequest {
            name: format!("{NAME}{name}"),
            driver: Some("bridge".to_owned()),
            options: Some(HashMap::from([bridge])),
            ipam: Some(Ipam { config: Some(vec![addresses]), ..Ipam::default() }),
            labels: Some(home.chain([kind]).collect()),
            ..NetworkCreateRequest::default()
        };
        let Err(err) = attempt(START, self.docker.create_network(request)).await? else {
            neighbours::quicken(&format!("{BRIDGE}{name}"));
            return Ok(Created::Yes);
        };
        match said(&err) {
            Some((_, message)) if message.contains("overlap") => Ok(Created::AddressesTaken),
            // Another agent process made it a moment ago, or it was there all the time.
            Some((_, message))
                if message.contains("already exists") || message.contains("same bridge name") =>
            {
                Ok(Created::Yes)
            }
            Some(_) | None => Err(classify(err)),
        }
    }

    async fn remove(&self, number: u32) -> Result<(), Error> {
        let name = format!("{NAME}{number}");
        match attempt(START, self.docker.remove_network(&name)).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) => Ok(()),
            Err(err) => Err(classify(err)),
        }
    }
}

/// Whether a network could be made.
enum Created {
    Yes,
    /// Something on this machine uses these addresses.
    AddressesTaken,
}

fn number(network: &str) -> Option<u32> {
    network.strip_prefix(NAME)?.parse().ok()
}
