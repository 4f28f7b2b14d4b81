//! What a registry that was made anew is filled with: all that the nodes have by its names, each image under the digest
//! that it had. What was pushed is remembered, so that a crash, or one image that cannot be pushed, holds up nothing; and
//! so is who was asked: a node that was away is asked when it answers, also after the registry counts as filled.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records::Stored;
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::nodes::Agent;
use common::port::part::PartImage;
use common::port::store::Version;
use tokio::time::Instant;

use super::Duties;
use crate::domain::note::Sightings;
use crate::domain::registry::is_whole;
use crate::domain::waits::Waits;
use crate::reconcile::{LATER, refusal};
use crate::records::{Error, Filling, RegistryPlace, filling_path, load, registry_path, save};

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

/// What those have who were not asked before.
#[derive(Default)]
struct Offer {
    holders: Holders,
    /// Those who said what they have.
    nodes: Vec<NodeName>,
    /// Why somebody could not say it.
    failure: Option<Failure>,
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
            // Whoever began the platform filled it.
            None if place.filled => return Ok(Outcome::Again(LATER)),
            None => Known { filling: Filling { schema: 1, ..Filling::default() }, version: None },
        };
        let Filling { attempts, last, .. } = known.filling;
        let left = self.waits().left(attempts, last, self.0.ports.clock.now());
        if !left.is_zero() {
            return Ok(Outcome::Again(left));
        }
        let Offer { holders, nodes, mut failure } = self.offer(&known.filling, seen).await?;
        if nodes.is_empty() && failure.is_none() {
            return self.rest(place, version, &known.filling, seen).await;
        }
        let began = Instant::now();
        let mut is_refused = false;
        for (image, sources) in &holders {
            if known.filling.is_done(image) {
                continue;
            }
            if began.elapsed() >= AT_ONCE {
                save(self.0, &filling_path(), &known.filling, known.version).await?;
                return Ok(Outcome::Again(Duration::ZERO));
            }
            match self.push(image, sources).await? {
                Pushed::There => known.filling.is_there(image),
                Pushed::Lost(why) => {
                    tracing::error!(%image, failure = %why, "an image is lost to the registry unless another node has it: nobody who answers has it as it was");
                    known.filling.is_out_of_reach(image);
                }
                Pushed::NotNow(why) => {
                    is_refused = true;
                    failure = Some(why);
                }
            }
        }
        if !is_refused {
            known.filling.were_asked(nodes);
        }
        if let Some(failure) = failure {
            return self.not_filled(known, &failure).await;
        }
        tracing::info!(asked = known.filling.asked.len(), "the registry has what these nodes have");
        save(self.0, &filling_path(), &known.filling, known.version).await?;
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Nobody who answers has anything that it does not have.
    async fn rest(
        &self,
        place: RegistryPlace,
        version: Version,
        filling: &Filling,
        seen: &Sightings,
    ) -> Result<Outcome, Error> {
        let is_whole = is_whole(&place, &filling.asked, seen) && !self.0.brakes().machines;
        if !place.filled && is_whole {
            tracing::info!(node.id = %place.node, "the registry is filled");
            let place = RegistryPlace { filled: true, ..RegistryPlace::at(place.node) };
            save(self.0, &registry_path(), &place, Some(version)).await?;
        }
        Ok(Outcome::Again(LATER))
    }

    fn waits(&self) -> Waits {
        self.0.config.rollout.waits
    }

    /// Who has which images, of those who answer and were not asked. The platform's own are on machines by their ids, which
    /// is the last way.
    async fn offer(&self, filling: &Filling, seen: &Sightings) -> Result<Offer, Error> {
        let mut offer = Offer::default();
        let mut by_id = Holders::new();
        let described = self.0.config.platform.as_ref();
        for (node, sighting) in seen {
            let Some(agent) = self.0.sight.agent(node) else { continue };
            if !sighting.answers() || filling.asked.contains(node) {
                continue;
            }
            match self.0.ports.parts.images(&agent).await {
                Ok(images) => {
                    for image in images {
                        let named = PartImage::Named(image.clone());
                        offer.holders.entry(image).or_default().push((agent.clone(), named));
                    }
                    offer.nodes.push(node.clone());
                }
                Err(err) => offer.failure = Some(refusal(self.0, node, err).await?),
            }
            for (_, image) in described.iter().flat_map(|one| one.carried(node)) {
                let Some(named) = &image.named else { continue };
                let way = (agent.clone(), PartImage::Id(image.id.clone()));
                by_id.entry(named.clone()).or_default().push(way);
            }
        }
        for (image, ways) in by_id {
            offer.holders.entry(image).or_default().extend(ways);
        }
        Ok(offer)
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
