//! Certificates of services and agents, settings of services of the base, and receivers of alerts where whoever made
//! monitoring had older ones: a look completes what is known of them, the plan says whose turn it is, and that one's is
//! renewed; then all is looked at again.

mod look;
mod renew;

use chassis::reconcile::Outcome;
use common::digest::Digest;
use common::failure::Failure;
use common::id::Generation;
use common::name::NodeName;
use common::port::part::PartSpec;
use common::port::store::Version;
use common::service::ServiceName;
use jiff::Timestamp;
use rollout::machine::agent_names;
use rollout::parts::{BasePart, ServicePapers, Site};
use rollout::platform::Platform;

use super::Duties;
use crate::domain::papers::{Facts, Step, plan};
use crate::draft::{Order, draft};
use crate::fleet;
use crate::ports::Vault;
use crate::reconcile::{LATER, SOON};
use crate::records::{Error, NodePapers, load, papers_path};
use crate::shared::Shared;

/// What would be given if it were given now.
#[derive(Clone, Copy)]
struct Today<'a> {
    platform: &'a Platform,
    vault: &'a Vault,
    now: Timestamp,
}

impl Duties<'_> {
    pub(super) async fn papers(&self) -> Result<Outcome, Error> {
        let Some(vault) = &self.0.ports.vault else { return Ok(Outcome::Settled) };
        let Some(platform) = fleet::platform(self.0).await? else { return Ok(Outcome::Settled) };
        if !self.0.papers.is_over() {
            return Ok(Outcome::Again(LATER));
        }
        let today = Today { platform: &platform, vault, now: self.0.ports.clock.now() };
        let seen = self.0.sight.all(self.0.config.window);
        let known = self.look(today, &seen).await?;
        let own = fleet::own_node(self.0);
        let described = self.0.config.platform.as_ref();
        let brakes = self.0.brakes();
        let step = plan(&Facts {
            notes: &known.notes,
            open: &known.open,
            seen: &seen,
            rollouts: &known.rollouts,
            base: described.map_or(&[], |one| one.placement.lifecycle_manager.as_slice()),
            own: own.as_ref(),
            braked: brakes.machines || brakes.services,
            given: vault.secrets.given,
            now: today.now,
        });
        self.0.papers.begin(step.lasts());
        let Step::Renew(holder) = step else {
            tracing::debug!(%step, "certificates were looked at");
            return Ok(Outcome::Again(LATER));
        };
        tracing::warn!(node.id = %holder.node(), %holder, "a certificate is renewed, or other settings are brought");
        self.renew(today, &seen, &holder).await?;
        Ok(Outcome::Again(SOON))
    }
}

impl Today<'_> {
    fn of_agent(self, node: &NodeName) -> Option<Digest> {
        let names = agent_names(self.platform.machine(node)?);
        let given = self.vault.authority.issue(ServiceName::NodeAgent, &names).ok()?;
        Some(Digest::of(given.certificate.as_bytes()))
    }

    fn of_part(
        self,
        node: &NodeName,
        service: ServiceName,
        generation: Generation,
    ) -> Option<Digest> {
        let site = Site { platform: self.platform, node, generation };
        let (authority, secrets) = (self.vault.authority.as_ref(), &self.vault.secrets);
        let given = ServicePapers::of(&site, service, authority, secrets).ok()?;
        Some(Digest::of(given.own.certificate.as_bytes()))
    }

    /// Settings of a service of the base, and its image, where it has any: those of placed services go by their rollouts.
    /// Without the authority's key nobody learns from it what they are.
    fn settings_of(self, service: ServiceName) -> Option<Digest> {
        let secrets = &self.vault.secrets;
        let settings = secrets.configured.settings_of(service);
        let image = secrets.configured.base.as_ref();
        if !is_of_the_base(service) || (settings.is_empty() && image.is_none()) {
            return None;
        }
        let (seal, text) = (&secrets.authority.key, serde_json::to_string(&settings));
        let mut text = text.expect("settings are text");
        text.extend(image.map(|image| format!("\n{image}")));
        Some(Digest::of(format!("avishkar: settings of a service, 1\n{seal}\n{text}").as_bytes()))
    }

    /// Whether a service of which it is not known what it came with may go by other settings than it should.
    fn may_say_otherwise(self, service: ServiceName) -> bool {
        is_of_the_base(service) && self.vault.secrets.given > 0
    }

    fn draft(self, order: &Order<'_>) -> Result<PartSpec, Failure> {
        draft(self.platform, self.vault, order)
    }
}

fn is_of_the_base(service: ServiceName) -> bool {
    BasePart::ALL.into_iter().any(|base| base.as_str() == service.as_str())
}

/// What is known of a node's certificates.
async fn read(shared: &Shared, node: &NodeName) -> Result<(NodePapers, Option<Version>), Error> {
    Ok(match load::<NodePapers>(shared, &papers_path(node)).await? {
        Some(stored) => (stored.record, Some(stored.version)),
        None => (NodePapers { schema: 1, ..NodePapers::default() }, None),
    })
}
