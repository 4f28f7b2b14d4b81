//! The specification of a part, as the description of the platform and the platform's secrets have it.

use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::part::{PartImage, PartSpec};
use common::record::platform::ServiceImage;
use common::service::ServiceName;
use rollout::parts::{
    BasePart, ServicePapers, Settings, Site, address, edge, kafka, registry, service, zookeeper,
};
use rollout::platform::Platform;

use crate::ports::Vault;

/// A part that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) part: &'a PartName,
    pub(crate) node: &'a NodeName,
    pub(crate) generation: Generation,
    /// Another version than the platform's own.
    pub(crate) image: Option<&'a ServiceImage>,
    /// Others than those that are said now.
    pub(crate) settings: Option<&'a Settings>,
}

/// The specification of a part, or what is missing for it.
pub(crate) fn draft(
    platform: &Platform,
    vault: &Vault,
    order: &Order<'_>,
) -> Result<PartSpec, Failure> {
    let site = Site { platform, node: order.node, generation: order.generation };
    let incomplete = |err: rollout::parts::Incomplete| internal(&err);
    match base(order.part) {
        Some(BasePart::Registry) => registry(&site).map_err(incomplete),
        Some(BasePart::ZooKeeper) => zookeeper(&site).map_err(incomplete),
        Some(BasePart::Kafka) => kafka(&site).map_err(incomplete),
        Some(BasePart::Edge) => edge(&site).map_err(incomplete),
        Some(BasePart::Address) => address(&site).map_err(incomplete),
        Some(BasePart::LifecycleManager | BasePart::PlatformInitializer) | None => {
            let name: ServiceName = order.part.as_str().parse().map_err(|err| internal(&err))?;
            let papers = ServicePapers::of(&site, name, vault.authority.as_ref(), &vault.secrets);
            let mut papers = papers.map_err(|err| internal(&err))?;
            if let Some(settings) = order.settings {
                papers = papers.by(settings.clone());
            }
            let image = order.image.cloned().map(PartImage::from);
            service(&site, name, image, &papers).map_err(incomplete)
        }
    }
}

fn base(part: &PartName) -> Option<BasePart> {
    BasePart::ALL.into_iter().find(|base| base.as_str() == part.as_str())
}

fn internal(err: &dyn std::error::Error) -> Failure {
    Failure::new(FailureCode::Internal, err.to_string())
}
