//! Building the image of a release from its bundle.

use bytes::{Bytes, BytesMut};
use common::digest::{Digest, ImageRef};
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::blobs;
use common::port::nodes::{self, Build};
use common::record::release::{BuildPlan, Source};
use futures::TryStreamExt as _;

use super::container::unless_deposed;
use super::{Effect, Round};
use crate::builds;
use crate::domain::change::Change;
use crate::domain::context::{self, Packer, Progress};
use crate::recipe::{self, Recipe};
use crate::reconcile::Error;

/// The largest bundle that is taken, in bytes: what an upload may have, and some.
const MOST_BUNDLE: usize = 128 * 1024 * 1024;

/// Builds the image on a node, or finds that it was built before.
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
    let _turn = round.shared.building.acquire().await;
    if let Some(image) = builds::kept(store, release, bundle, &recipe).await? {
        return Ok(built(&image));
    }
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
    let issuer = round.shared.issuer();
    let err = match round.shared.ports.nodes.build(&agent, issuer, build).await {
        Ok(image) => return Ok(Ok(image)),
        Err(err) => unless_deposed(err)?,
    };
    Ok(Err(match err {
        nodes::Error::Failed { failure, .. } => given_up(failure),
        nodes::Error::Unreachable { .. } | nodes::Error::StaleEpoch { .. } => {
            Effect::hindered(Failure::new(FailureCode::NodeUnavailable, err.to_string()))
        }
    }))
}

/// The build context. Between its files others have their turn.
async fn pack(
    round: &Round<'_>,
    bundle: &Digest,
    plan: &BuildPlan,
    recipe: &Recipe,
) -> Result<Bytes, Effect> {
    let unpackable =
        |err: context::Error| given_up(Failure::new(FailureCode::BuildFailed, err.to_string()));
    let bytes = fetch(round, bundle).await?;
    let most = round.shared.config.most_unpacked;
    let mut packer =
        Packer::new(bytes, &plan.root, &recipe.dockerfile, most).map_err(unpackable)?;
    while packer.pack_next().map_err(unpackable)? == Progress::More {
        tokio::task::yield_now().await;
    }
    packer.finish().map_err(unpackable)
}

async fn fetch(round: &Round<'_>, bundle: &Digest) -> Result<Bytes, Effect> {
    let (size, mut stream) =
        round.shared.ports.blobs.get(bundle).await.map_err(|err| unfetched(&err))?;
    let too_large = || {
        let message = "the stored bundle is larger than an upload may be";
        given_up(Failure::new(FailureCode::BundleUnavailable, message))
    };
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST_BUNDLE);
    let mut bytes = BytesMut::with_capacity(size.ok_or_else(too_large)?);
    while let Some(piece) = stream.try_next().await.map_err(|err| unfetched(&err))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MOST_BUNDLE {
            return Err(too_large());
        }
    }
    Ok(bytes.freeze())
}

fn unfetched(err: &blobs::Error) -> Effect {
    let failure = Failure::new(FailureCode::BundleUnavailable, err.to_string());
    if err.is_retryable() { Effect::hindered(failure) } else { given_up(failure) }
}
