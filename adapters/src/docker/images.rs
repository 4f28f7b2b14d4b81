//! Images: built by the classic builder, pushed and pulled by digest.

use std::collections::HashMap;
use std::error::Error as _;

use bollard::body_full;
use bollard::models::{BuildInfo, PushImageInfo};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, PushImageOptionsBuilder,
};
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::failure::last_words;
use common::port::container::label;
use common::port::containers::Error;
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use super::body::IMAGE;
use super::failure::{attempt, classify, is_missing, said, within};
use super::{Engine, LONG, QUICK, build_env};

/// What the builder's containers may use: the engine takes one byte less than 2 GiB at most.
const BUILD_MEMORY: i32 = i32::MAX;
/// How much output of a build is looked at when it failed.
const OUTPUT_LINES: usize = 200;
/// The tag under which an image is built and pushed. It moves: nobody reads it but the next call.
pub(super) const TAG: &str = "latest";

impl Engine {
    /// The name of a repository on this machine: under the registry's, where there is one.
    fn local_name(&self, repository: &str) -> String {
        match &self.settings.registry {
            Some(registry) => format!("{registry}/{repository}"),
            None => repository.to_owned(),
        }
    }

    /// What the engine may know an image as. Without a registry an image has no digest but its id.
    pub(super) fn image_names(&self, image: &ImageRef) -> [String; 2] {
        let by_digest = image.to_string();
        let by_id = image.digest().to_string();
        match &self.settings.registry {
            Some(_) => [by_digest, by_id],
            None => [by_id, by_digest],
        }
    }

    pub(super) async fn build_image(
        &self,
        repository: &str,
        context: Bytes,
    ) -> Result<Digest, Error> {
        let name = format!("{}:{TAG}", self.local_name(repository));
        self.build_as(&name, repository, context).await
    }

    /// Builds an image of a repository that is called `name`; returns its id.
    pub(super) async fn build_as(
        &self,
        name: &str,
        repository: &str,
        context: Bytes,
    ) -> Result<Digest, Error> {
        let network = self.networks.for_builds().await?;
        let options = BuildImageOptionsBuilder::new()
            .dockerfile("Dockerfile")
            .networkmode(&network)
            .t(name)
            .rm(true)
            .forcerm(true)
            .memory(BUILD_MEMORY)
            .memswap(BUILD_MEMORY)
            .labels(&HashMap::from([(label::PLATFORM, IMAGE), (label::REPOSITORY, repository)]))
            .build();
        let machine = &self.settings.build_env;
        let context =
            build_env::complete(context, machine).map_err(|err| Error::Unavailable(err.into()))?;
        let _layers = self.layers.read().await;
        let mut output = Vec::new();
        let steps = self.docker.build_image(options, None, Some(body_full(context)));
        let ended = tokio::time::timeout(LONG, follow_build(steps, &mut output)).await;
        match ended {
            Ok(Ok(())) => self.image_id(name).await,
            Ok(Err(err)) => Err(failed_build(classify(err), &mut output)),
            Err(_) => {
                Err(Error::BuildTimedOut { output: last_words(output.iter().map(String::as_str)) })
            }
        }
    }

    async fn image_id(&self, name: &str) -> Result<Digest, Error> {
        let image = within(QUICK, self.docker.inspect_image(name)).await?;
        let id = image.id.unwrap_or_default();
        id.parse().map_err(|_| Error::Refused(format!("the image {name} has no id")))
    }

    pub(super) async fn push_image(&self, repository: &str) -> Result<ImageRef, Error> {
        let name = self.local_name(repository);
        let digest = match &self.settings.registry {
            Some(_) => self.push_to_registry(&name).await?,
            None => self.image_id(&format!("{name}:{TAG}")).await?,
        };
        ImageRef::new(&name, digest).map_err(|err| Error::Refused(err.to_string()))
    }

    pub(super) async fn push_to_registry(&self, name: &str) -> Result<Digest, Error> {
        let options = PushImageOptionsBuilder::new().tag(TAG).build();
        let mut steps = self.docker.push_image(name, Some(options), None);
        let pushed = async {
            let mut digest = None;
            while let Some(PushImageInfo { status, .. }) = steps.try_next().await? {
                digest = status.as_deref().and_then(digest_of_push).or(digest);
            }
            Ok(digest)
        };
        let missing = || Error::Refused(format!("the registry named no digest of {name}"));
        within(LONG, pushed).await?.ok_or_else(missing)
    }

    pub(super) async fn pull_image(&self, image: &ImageRef) -> Result<(), Error> {
        if self.image_is_present(image).await? {
            return Ok(());
        }
        let options = CreateImageOptionsBuilder::new().from_image(&image.to_string()).build();
        let mut steps = self.docker.create_image(Some(options), None, None);
        let pulled = async {
            while steps.try_next().await?.is_some() {}
            Ok(())
        };
        match attempt(LONG, pulled).await? {
            Ok(()) => Ok(()),
            Err(err) => match said(&err) {
                // A registry that refuses or cannot be reached is told by the engine in an answer.
                Some((_, message)) if !message.contains("no space left on device") => {
                    let source = Box::new(err);
                    Err(Error::ImageUnavailable { image: image.to_string(), source })
                }
                Some(_) | None => Err(classify(err)),
            },
        }
    }

    pub(super) async fn image_is_present(&self, image: &ImageRef) -> Result<bool, Error> {
        for name in self.image_names(image) {
            match attempt(QUICK, self.docker.inspect_image(&name)).await? {
                Ok(_) => return Ok(true),
                Err(err) if is_missing(&err) => {}
                Err(err) => return Err(classify(err)),
            }
        }
        Ok(false)
    }
}

/// What an image is called here that was built of what has this digest.
pub(super) fn tag_of(image: &ImageRef) -> String {
    format!("{}:{}", image.repository(), image.digest().hex())
}

async fn follow_build(
    steps: impl Stream<Item = Result<BuildInfo, bollard::errors::Error>>,
    output: &mut Vec<String>,
) -> Result<(), bollard::errors::Error> {
    let mut steps = std::pin::pin!(steps);
    while let Some(step) = steps.next().await {
        let text = step?.stream.unwrap_or_default();
        output.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        let surplus = output.len().saturating_sub(OUTPUT_LINES);
        output.drain(..surplus);
    }
    Ok(())
}

/// A build that never said a word did not fail: the engine did.
fn failed_build(err: Error, output: &mut Vec<String>) -> Error {
    let of_the_engine = matches!(&err, Error::Unavailable(_)) && output.is_empty();
    if of_the_engine || matches!(&err, Error::Full(_)) {
        return err;
    }
    let reason = err.source().map_or_else(|| err.to_string(), ToString::to_string);
    output.push(reason);
    Error::BuildFailed { output: last_words(output.iter().map(String::as_str)) }
}

/// The engine tells the digest in words: `latest: digest: sha256:… size: 528`.
fn digest_of_push(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_push_is_read_from_its_words() {
        let digest = Digest::of(b"x");
        let status = format!("latest: digest: {digest} size: 528");
        assert_eq!(digest_of_push(&status), Some(digest));
        assert_eq!(digest_of_push("The push refers to repository [example.org/x]"), None);
    }
}
