//! The nodes' agents, over HTTPS with this service's certificate.

use std::sync::Arc;

use adapters::AgentClient;
use anyhow::Context as _;
use chassis::http;
use chassis::tls::Identity;
use common::port::Nodes;
use common::service::ServiceName;

/// What a service shows other services of the platform: its certificate.
pub(crate) fn identity(http: &http::Config, service: ServiceName) -> anyhow::Result<Identity> {
    Identity::load(&http.pki, service)
        .context("the service has no certificate; `avishkar setup` makes it")
}

pub(crate) fn connect(identity: &Identity) -> anyhow::Result<Arc<dyn Nodes>> {
    let client = AgentClient::new(&identity.ca, &identity.client_pem());
    Ok(Arc::new(client.context("the certificate cannot be used")?))
}
