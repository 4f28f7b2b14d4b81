//! Another image for lifecycle managers and platform initializers of a platform that keeps itself: it is brought here, and
//! waited for here. Those that lead give it to one after another, as they give them other settings.

use std::time::Duration;

use common::digest::Digest;
use common::name::NodeName;
use common::port::part::{Part, PartImage};
use common::service::ServiceName;
use rollout::Code;
use rollout::machine::{Goal, ToldService, bring_image, told_services};
use rollout::parts::{BasePart, FormerBase};
use rollout::platform::{Component, Platform};
use tokio::time::{Instant, sleep};

use crate::keys::HostKeys;
use crate::managers::{Managers, goal};
use crate::trouble::Trouble;
use crate::work::Work;

/// How long nothing more of the base may become ready from its new image before all of it goes back: lifecycle managers
/// begin anew, look, and give one its turn, and that one has to start.
const ONE_MORE_WITHIN: Duration = Duration::from_mins(6);
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const WAITED: &str = "wait until lifecycle managers and platform initializers run from their image, one after another";

/// A service of the base that does not run as it should yet.
struct Left {
    node: NodeName,
    part: BasePart,
    /// Whether its agent was told of its image.
    is_told: bool,
}

/// From what services of the base are to run.
fn image(platform: &Platform) -> Option<&Digest> {
    let images = &platform.images;
    let image = images.get(&Component::Base).or_else(|| images.get(&Component::Platform));
    image.map(|image| &image.id)
}

/// The services that it is for. Those that are built of code on a share have none.
fn services(platform: &Platform) -> impl Iterator<Item = BasePart> {
    let all = [
        (BasePart::LifecycleManager, ServiceName::LifecycleManager),
        (BasePart::PlatformInitializer, ServiceName::PlatformInitializer),
    ];
    let is_built = move |service: &ServiceName| platform.code.contains_key(service);
    all.into_iter().filter(move |(_, service)| !is_built(service)).map(|(part, _)| part)
}

/// Each of them on a machine, as its agent was told of it last.
async fn told(
    work: &Work<'_>,
    platform: &Platform,
    goal: &Goal,
) -> Result<Vec<(BasePart, Option<ToldService>)>, Trouble> {
    let told = told_services(&work.machine_ports(None), goal).await?;
    let of = |part: BasePart| told.iter().find(|one| one.name == part.name()).cloned();
    Ok(services(platform).map(|part| (part, of(part))).collect())
}

/// What stands of them on a machine and is to run from another image than its agent was told.
pub(crate) async fn to_be_replaced(
    work: &Work<'_>,
    platform: &Platform,
    name: &NodeName,
) -> Result<Vec<BasePart>, Trouble> {
    let goal = goal(work, platform, name, HostKeys::PinnedOnly).await?;
    let told = told(work, platform, &goal).await?.into_iter();
    let is_other = |told: &ToldService| !runs_from(told, image(platform));
    Ok(told.filter(|(_, told)| told.as_ref().is_some_and(is_other)).map(|(part, _)| part).collect())
}

fn runs_from(told: &ToldService, image: Option<&Digest>) -> bool {
    matches!(&told.image, PartImage::Id(id) if Some(id) == image)
}

impl Managers<'_> {
    /// Brings the image of the base to the machines of lifecycle managers.
    pub(crate) async fn bring_base(&self) -> Result<(), Trouble> {
        let Some(image) = self.platform.images.get(&Component::Base) else { return Ok(()) };
        for name in &self.platform.placement.lifecycle_manager {
            let (goal, ports) = (self.goal(name).await?, self.work.machine_ports(None));
            let step = format!("bring the image of the base to {name}, where it is missing");
            self.work.step(Some(name), &step, bring_image(&ports, &goal, &image.id)).await?;
        }
        Ok(())
    }

    /// Waits until all of the base runs from its image, and is ready.
    pub(crate) async fn base_runs(&self) -> Result<(), Trouble> {
        let waiting = async {
            let mut until = Instant::now() + ONE_MORE_WITHIN;
            let mut least = usize::MAX;
            loop {
                let left = self.left().await;
                let count = left.as_ref().map_or(usize::MAX, Vec::len);
                if count == 0 {
                    return Ok(());
                }
                if count < least {
                    (least, until) = (count, Instant::now() + ONE_MORE_WITHIN);
                }
                if Instant::now() >= until {
                    return Err(left.map_or_else(|trouble| trouble, |left| not_ready(&left)));
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        self.work.step(None, WAITED, waiting).await
    }

    /// Whether the lifecycle manager of a machine was told of the former image of the base, or is built of code.
    pub(crate) async fn runs_from_former(
        &self,
        name: &NodeName,
        former: &FormerBase,
    ) -> Result<bool, Trouble> {
        let own = self.platform.images.get(&Component::Platform).map(|image| &image.id);
        let image = former.image.as_ref().or(own);
        let told = told(self.work, self.platform, &self.goal(name).await?).await?;
        let found = told.into_iter().find(|(part, _)| *part == BasePart::LifecycleManager);
        Ok(found.is_none_or(|(_, told)| told.is_some_and(|told| runs_from(&told, image))))
    }

    async fn left(&self) -> Result<Vec<Left>, Trouble> {
        let mut left = Vec::new();
        for node in &self.platform.placement.lifecycle_manager {
            let told = told(self.work, self.platform, &self.goal(node).await?).await?;
            let found = self.parts(node).await?;
            for (part, told) in told {
                let told = told.filter(|told| runs_from(told, image(self.platform)));
                let is_ready = |one: &Part| {
                    let is_it = one.name == part.name()
                        && told.as_ref().is_some_and(|told| told.generation == one.generation);
                    is_it && one.healthy == Some(true)
                };
                if !found.iter().any(is_ready) {
                    left.push(Left { node: node.clone(), part, is_told: told.is_some() });
                }
            }
        }
        Ok(left)
    }
}

/// Whoever was told of its image has had its time.
fn not_ready(left: &[Left]) -> Trouble {
    let code = Code::PartNotReady.as_str();
    let minutes = ONE_MORE_WITHIN.as_secs() / 60;
    let hint = "see what it says: docker logs on its machine. All of the base goes back to the image from which it ran before; those that had not been replaced were not touched";
    match left.iter().find(|one| one.is_told).or_else(|| left.first()) {
        Some(Left { node, part, is_told: true }) => {
            let cause = format!("{part} is not ready from it within {minutes} min");
            Trouble::here(WAITED, code, cause, hint).on(node)
        }
        Some(Left { node, part, is_told: false }) => {
            let cause = format!("no lifecycle manager has replaced {part} within {minutes} min");
            let hint = "see what lifecycle managers say: while too much looks dead, or a part of the base is not ready, they replace none. All goes back to the former image; begin again later";
            Trouble::here(WAITED, code, cause, hint).on(node)
        }
        None => Trouble::here(WAITED, code, "it could not be seen".to_owned(), hint),
    }
}
