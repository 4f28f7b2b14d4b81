//! What a registry that was made anew is filled with: all that the nodes have by its names, each image under the digest
//! that it had. What was pushed is remembered, so that a crash, or one image that cannot be pushed, holds up nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::port::nodes::Agent;
use common::port::part::PartImage;
use common::port::store::{Op, Version};
use tokio::time::Instant;

use super::Duties;
use crate::domain::note::Sightings;
use crate::domain::waits::Waits;
use crate::reconcile::{LATER, refusal};
use crate::records::{
    Error, Filling, RegistryPlace, commit, filling_path, load, registry_path, save,
};

/// So long is pushed before what was is written down.
const AT_ONCE: Duration = Duration::from_mins(1);

/// Who has an image, and as what.
type Holders = BTreeMap<ImageRef, Vec<(Agent, PartImage)>>;

/// What became of an image.
enum Pushed {
    There,
    /// Whoever has it cannot bring it there as it was.
    Lost(Failure),
    NotNow(Failure),
}

/// A record as it was read.
struct Known {
    filling: Filling,
    version: Option<Version>,
}

impl Duties<'_> {
    pub(super) async fn fill(
        &self,
        place: RegistryPlace,
        version: Version,
        seen: &Sightings,
    ) -> Result<Outcome, Error> {
        let mut known = match load::<Filling>(self.0, &filling_path()).await? {
            Some(Stored { record, version }) => Known { filling: record, version: Some(version) },
            None => Known { filling: Filling { schema: 1, ..Filling::default() }, version: None },
        };
        let Filling { attempts, last, .. } = known.filling;
        let left = self.waits().left(attempts, last, self.0.ports.clock.now());
        if !left.is_zero() {
            return Ok(Outcome::Again(left));
        }
        let (holders, mut failure) = self.holders(seen).await?;
        let began = Instant::now();
        for (image, sources) in &holders {
            if known.filling.is_done(image) {
                continue;
            }
            if began.elapsed() >= AT_ONCE {
                save(self.0, &filling_path(), &known.filling, known.version).await?;
                return Ok(Outcome::Again(Duration::ZERO));
            }
            match self.push(image, sources).await? {
                Pushed::There => known.filling.note(image),
                Pushed::Lost(why) => {
                    tracing::error!(%image, failure = %why, "an image is lost to the registry: nobody has it as it was");
                    known.filling.note(image);
                    known.filling.lost += 1;
                }
                Pushed::NotNow(why) => failure = Some(why),
            }
        }
        match failure {
            None => self.filled(place, version, (holders.len(), known)).await,
            Some(failure) => self.not_filled(known, &failure).await,
        }
    }

    fn waits(&self) -> Waits {
        self.0.config.rollout.waits
    }

    /// Who has which images; also why somebody could not say it. The platform's own are on machines by their ids.
    async fn holders(&self, seen: &Sightings) -> Result<(Holders, Option<Failure>), Error> {
        let mut holders = Holders::new();
        let mut failure = None;
        let mut agents = Vec::new();
        for node in seen.iter().filter(|(_, one)| one.answers()).map(|(node, _)| node) {
            let Some(agent) = self.0.sight.agent(node) else { continue };
            match self.0.ports.parts.images(&agent).await {
                Ok(images) => {
                    for image in images {
                        let named = PartImage::Named(image.clone());
                        holders.entry(image).or_default().push((agent.clone(), named));
                    }
                }
                Err(err) => failure = Some(refusal(self.0, node, err).await?),
            }
            agents.push(agent);
        }
        let described = self.0.config.platform.as_ref();
        for agent in agents {
            for (_, image) in described.iter().flat_map(|one| one.carried(&agent.node)) {
                let Some(named) = &image.named else { continue };
                let by_id = (agent.clone(), PartImage::Id(image.id.clone()));
                holders.entry(named.clone()).or_default().push(by_id);
            }
        }
        Ok((holders, failure))
    }

    /// One after another of those who have it tries.
    async fn push(
        &self,
        image: &ImageRef,
        sources: &[(Agent, PartImage)],
    ) -> Result<Pushed, Error> {
        let repository = image.repository();
        let path = repository.split_once('/').map_or(repository, |(_, path)| path);
        let (parts, issuer) = (self.0.ports.parts.as_ref(), self.0.issuer());
        let mut outcome = Pushed::Lost(Failure::new(
            FailureCode::ImageUnavailable,
            format!("nobody has {image} any more"),
        ));
        for (agent, source) in sources {
            match parts.push_image(agent, issuer, source, path).await {
                Ok(pushed) if pushed.digest() == image.digest() => return Ok(Pushed::There),
                Ok(pushed) => {
                    tracing::warn!(node.id = %agent.node, %image, as_ = %pushed, "an image arrived under another digest");
                }
                Err(err) => {
                    let failure = refusal(self.0, &agent.node, err).await?;
                    tracing::warn!(node.id = %agent.node, %image, %failure, "an image could not be pushed");
                    if failure.code != FailureCode::ImageUnavailable {
                        outcome = Pushed::NotNow(failure);
                    }
                }
            }
        }
        Ok(outcome)
    }

    async fn filled(
        &self,
        place: RegistryPlace,
        version: Version,
        (images, known): (usize, Known),
    ) -> Result<Outcome, Error> {
        let Known { filling, version: filling_at } = known;
        tracing::info!(images, lost = filling.lost, "the registry has what the nodes have");
        let place = RegistryPlace { filled: true, ..RegistryPlace::at(place.node) };
        let mut changes = vec![records::put(registry_path(), &place, Some(version))];
        let path = filling_path();
        changes.extend(filling_at.map(|version| Op::Delete { path, version }));
        commit(self.0, changes).await?;
        Ok(Outcome::Again(LATER))
    }

    async fn not_filled(&self, known: Known, failure: &Failure) -> Result<Outcome, Error> {
        let Known { mut filling, version } = known;
        let now = self.0.ports.clock.now();
        filling.attempts = self.waits().next(filling.attempts, filling.last, now);
        filling.last = Some(now);
        tracing::warn!(%failure, attempt = filling.attempts, "the registry is not filled yet; trying again");
        save(self.0, &filling_path(), &filling, version).await?;
        Ok(Outcome::Again(self.waits().after(filling.attempts)))
    }
}
