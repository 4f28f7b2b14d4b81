//! The bootstrapper on SSH, this computer's engine, Azure and nodes' agents.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use adapters::machines::azure::{
    AzureSettings, Endpoints, Network, ServicePrincipal, SignIn as AzureSignIn,
};
use adapters::machines::resolvers_of_this_computer;
use adapters::{
    AgentClient, ArchivedImages, AzureMachines, CertificateAuthorities, DockerImages,
    LocalMachines, LocalSettings, SshHosts,
};
use anyhow::Context as _;
use bootstrapper::Ports;
use bootstrapper::description::{AzureBackend, Description, LocalBackend, SignIn};
use bootstrapper::ports::{Agents, Files};
use chassis::config::{self, SecretString};
use chassis::system::{SystemClock, SystemEntropy};
use common::port::{Authority, Cause, Machines, Parts};
use common::service::ServiceName;
use rollout::platform::Platform;

/// Connects the ports that a description needs; completes it by what only this computer knows.
pub(crate) fn connect(description: &mut Description) -> anyhow::Result<Ports> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let engine = description.images.socket.as_deref().map(DockerImages::new).transpose();
    let engine = engine.context("the engine that has the images cannot be used")?;
    let platform = description.platform.name.to_string();
    let mut backends: BTreeMap<&'static str, Arc<dyn Machines>> = BTreeMap::new();
    if let Some(local) = &mut description.local {
        if local.resolvers.is_empty() {
            local.resolvers = resolvers_of_this_computer();
        }
        if let Some(place) = &mut description.platform.local {
            place.resolvers.clone_from(&local.resolvers);
        }
        backends.insert("local", Arc::new(self::local(local, &description.platform)?));
    }
    if let Some(azure) = &description.azure {
        backends.insert("azure", Arc::new(self::azure(azure, &platform)?));
    }
    let azure_principal = description.azure.as_ref().map(azure_principal).transpose()?;
    Ok(Ports {
        hosts: Arc::new(SshHosts::new(entropy.clone())),
        backends,
        images: Arc::new(ArchivedImages::new(engine)),
        authorities: Arc::new(CertificateAuthorities::new(clock.clone())),
        agents: Arc::new(AgentsByCertificate),
        files: Arc::new(FilesHere),
        azure_principal: azure_principal.flatten(),
        clock,
        entropy,
    })
}

fn local(local: &LocalBackend, platform: &Platform) -> anyhow::Result<LocalMachines> {
    let settings = LocalSettings {
        socket: local.socket.clone(),
        image: local.image.clone(),
        platform: platform.name.to_string(),
        kept: platform.edge.address,
        range: local.range.parse().context("local.range")?,
        resolvers: local.resolvers.clone(),
    };
    LocalMachines::new(settings).context("the engine that makes local machines cannot be used")
}

fn azure(azure: &AzureBackend, platform: &str) -> anyhow::Result<AzureMachines> {
    let variable =
        |name: &str| config::secret_variable(name).map(|value| value.expose().to_owned());
    let principal = match &azure.principal_file {
        Some(file) => ServicePrincipal::from_file(file),
        None => ServicePrincipal::from_variables(variable),
    };
    let operators: Result<_, _> = azure.operators.iter().map(|range| range.parse()).collect();
    let settings = AzureSettings {
        endpoints: Endpoints::default(),
        subscription: azure.subscription.clone(),
        resource_group: azure.resource_group.clone(),
        location: azure.location.clone(),
        network: Network {
            name: azure.network.clone(),
            prefix: azure.network_range.parse().context("azure.network_range")?,
            subnet: azure.subnet.clone(),
            subnet_prefix: azure.subnet_range.parse().context("azure.subnet_range")?,
        },
        platform: platform.to_owned(),
        user: azure.user.clone(),
        sign_in: match azure.sign_in {
            SignIn::Public => AzureSignIn::Public,
            SignIn::Private => AzureSignIn::Private,
        },
        operators: operators.context("azure.operators")?,
        tags: azure.tags.clone(),
        pace: AzureSettings::PACE,
    };
    let principal = principal.context("nobody can ask Azure")?;
    AzureMachines::connect(settings, principal).context("Azure cannot be asked")
}

/// The principal for lifecycle managers: as a file has it, or made of what the environment says.
fn azure_principal(azure: &AzureBackend) -> anyhow::Result<Option<SecretString>> {
    if let Some(file) = &azure.principal_file {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        return Ok(Some(SecretString::new(text)));
    }
    let variable = |name: &str| config::secret_variable(name);
    let said = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET");
    let (Some(directory), Some(id), Some(password)) =
        (variable(said.0), variable(said.1), variable(said.2))
    else {
        return Ok(None);
    };
    let text = serde_json::json!({
        "tenant": directory.expose(),
        "appId": id.expose(),
        "password": password.expose(),
    });
    Ok(Some(SecretString::new(text.to_string())))
}

/// Agents over HTTPS, by a certificate of the lifecycle manager.
#[derive(Debug)]
struct AgentsByCertificate;

impl Agents for AgentsByCertificate {
    fn trusting(&self, authority: &dyn Authority) -> Result<Arc<dyn Parts>, Cause> {
        let papers = authority.issue(ServiceName::LifecycleManager, &[])?;
        let identity = format!("{}\n{}", papers.certificate, papers.key);
        let ca = authority.certificate().as_bytes();
        let client = AgentClient::with_forwards(ca, identity.as_bytes())?;
        Ok(Arc::new(client))
    }
}

#[derive(Debug)]
struct FilesHere;

impl Files for FilesHere {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Cause> {
        Ok(std::fs::read(path)?)
    }
}
