//! A platform as its file describes it: what both planning and doing begin with. Nothing in it is secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use common::name::ShareName;
use common::port::share;
use common::service::ServiceName;
use rollout::parts::Settings;
use rollout::platform::{Component, Platform};

/// Everything that `platform.toml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its images are known by name only yet.
    pub platform: Platform,
    pub images: ImageSource,
    /// Where machines are made on this computer; none if there are none.
    pub local: Option<LocalBackend>,
    /// Where machines are made in Azure; none if there are none.
    pub azure: Option<AzureBackend>,
    /// The private key that lets this computer into the machines it makes; made where there is none.
    pub key_file: PathBuf,
    /// An archive of what says how packages are reached from the machines; none leaves what is there.
    pub build_env: Option<PathBuf>,
    /// The shares that services' code comes from.
    pub shares: BTreeMap<ShareName, KnownShare>,
    /// Who is told of alerts, in the order of the file.
    pub receivers: Vec<KnownReceiver>,
    /// What is said in services' own files.
    pub settings: BTreeMap<ServiceName, Settings>,
    /// What is known of the platform once it is there.
    pub state_file: PathBuf,
}

/// A share, and where what opens it is on this computer: in the first line of a file that nobody but its owner may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownShare {
    pub share: share::Description,
    pub secret_file: Option<PathBuf>,
}

/// Who is told of alerts, and where what requests are signed with is on this computer: in the first line of a file that
/// nobody but its owner may read.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownReceiver {
    pub name: String,
    /// Some hold a secret of the receiver's.
    pub url: String,
    pub secret_file: PathBuf,
    /// Whether it may be in a private network, and without TLS.
    pub internal: bool,
}

impl fmt::Debug for KnownReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownReceiver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every image of the platform.
pub const COMPONENTS: [Component; 9] = [
    Component::Platform,
    Component::KafkaZookeeper,
    Component::Registry,
    Component::Edge,
    Component::BuilderPython,
    Component::RuntimePython,
    Component::BuilderNode,
    Component::RuntimeNode,
    Component::RuntimeStatic,
];

/// The key of an image in the file.
pub fn key_of(component: Component) -> &'static str {
    let repository = component.repository();
    repository.strip_prefix("avishkar/").unwrap_or(repository)
}

/// Where the images come from that machines get: files of this computer, by their absolute paths, and its engine, by
/// the names that it has for them. None comes from a registry outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// None where all images are files.
    pub socket: Option<PathBuf>,
    pub names: BTreeMap<Component, String>,
}

/// How machines are made in containers of this computer's engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalBackend {
    pub socket: PathBuf,
    /// An image whose entry is a machine's init.
    pub image: String,
    /// The addresses of their network, as `192.0.2.0/24`.
    pub range: String,
    /// The name servers that containers on them ask; empty for those of this computer.
    pub resolvers: Vec<IpAddr>,
}

/// How machines are made in Azure, in Azure's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureBackend {
    pub subscription: String,
    pub resource_group: String,
    pub location: String,
    pub network: String,
    pub network_range: String,
    pub subnet: String,
    pub subnet_range: String,
    /// As whom one signs in.
    pub user: String,
    /// From where people sign in.
    pub operators: Vec<String>,
    pub sign_in: SignIn,
    pub tags: BTreeMap<String, String>,
    /// A service principal as `az ad sp create-for-rbac` prints it, in a file that nobody but its owner may read;
    /// without one, the environment says it.
    pub principal_file: Option<PathBuf>,
}

/// By which of its addresses one signs in to a machine of Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    Public,
    Private,
}

impl Description {
    /// The kinds of its machines, sorted.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.platform.machines.iter().map(|machine| machine.shape.kind()).collect()
    }
}
