//! Building the image of a release from its bundle.

use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::nodes::{self, Build};
use common::record::release::Source;

use super::container::unless_deposed;
use super::pack::pack;
use super::{Effect, Round};
use crate::builds;
use crate::domain::change::Change;
use crate::recipe;
use crate::reconcile::Error;

/// Builds the image on a node, or finds that it was built before. Changes nothing while others build: a
/// deployment that waited in here would keep one of other instances from being worked on.
pub(super) async fn build(round: &Round<'_>, node: &NodeName) -> Result<Effect, Error> {
    let number = round.deployment.release;
    let Some(release) = round.found.releases.get(&number) else {
        let message = format!("release {number} is gone");
        return Ok(given_up(Failure::new(FailureCode::ReleaseUnknown, message)));
    };
    let (bundle, plan) = match &release.source {
        Source::Image { image } => return Ok(built(image)),
        Source::Bundle { bundle, plan } => (bundle, plan),
    };
    let recipe = match recipe::of(plan, release, &round.shared.config) {
        Ok(recipe) => recipe,
        Err(err) => {
            return Ok(given_up(Failure::new(FailureCode::BuildFailed, err.to_string())));
        }
    };
    let store = round.shared.ports.store.as_ref();
    let turn = round.shared.building.try_acquire();
    if let Some(image) = builds::kept(store, release, bundle, &recipe).await? {
        return Ok(built(&image));
    }
    let Ok(_turn) = turn else { return Ok(Effect::default()) };
    let context = match pack(round, bundle, plan, &recipe).await {
        Ok(context) => context,
        Err(effect) => return Ok(effect),
    };
    let repository = format!("apps/{}", release.app);
    match made(round, node, Build { repository, context }).await? {
        Ok(image) => {
            let build = builds::Build {
                schema: 1,
                bundle: bundle.clone(),
                recipe: recipe.digest(),
                image,
                built_at: round.now(),
            };
            let image = builds::keep(store, release, build).await?;
            Ok(built(&image))
        }
        Err(effect) => Ok(effect),
    }
}

fn built(image: &ImageRef) -> Effect {
    Effect::of(Change::Built { image: image.clone() })
}

fn given_up(failure: Failure) -> Effect {
    Effect::of(Change::GivenUp { failure })
}

async fn made(
    round: &Round<'_>,
    node: &NodeName,
    build: Build,
) -> Result<Result<ImageRef, Effect>, Error> {
    let agent = match round.agent(node) {
        Ok(agent) => agent,
        Err(failure) => return Ok(Err(Effect::hindered(failure))),
    };
    let issuer = round.shared.seat.issuer();
    let err = match round.shared.ports.nodes.build(&agent, issuer, build).await {
        Ok(image) => return Ok(Ok(image)),
        Err(err) => unless_deposed(err)?,
    };
    Ok(Err(match err {
        nodes::Error::Failed { failure, .. } if failure.code == FailureCode::NodeUnavailable => {
            Effect::hindered(failure)
        }
        nodes::Error::Failed { failure, .. } => given_up(failure),
        nodes::Error::Unreachable { .. } | nodes::Error::StaleEpoch { .. } => {
            Effect::hindered(Failure::new(FailureCode::NodeUnavailable, err.to_string()))
        }
    }))
}
