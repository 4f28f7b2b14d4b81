//! Images as parts and a lost registry need them.

use bollard::query_parameters::{ListImagesOptionsBuilder, TagImageOptionsBuilder};
use common::digest::ImageRef;
use common::port::containers::Error;
use common::port::part::PartImage;

use super::super::failure::{attempt, classify, is_missing, within};
use super::super::images::{TAG, tag_of};
use super::super::{Engine, QUICK};
use super::body::image_text;

impl Engine {
    /// What the engine knows an image as, if it is present.
    pub(super) async fn known_as(&self, image: &PartImage) -> Result<String, Error> {
        let names = match image {
            PartImage::Id(id) => vec![id.to_string()],
            PartImage::Named(named) => self.image_names(named).to_vec(),
            PartImage::Built(code) => vec![tag_of(&code.image())],
        };
        for name in names {
            match attempt(QUICK, self.docker.inspect_image(&name)).await? {
                Ok(_) => return Ok(name),
                Err(err) if is_missing(&err) => {}
                Err(err) => return Err(classify(err)),
            }
        }
        Err(Error::ImageUnavailable { image: image_text(image), source: "no such image".into() })
    }

    pub(super) async fn fetch(&self, image: &PartImage) -> Result<(), Error> {
        match image {
            PartImage::Id(_) | PartImage::Built(_) => self.known_as(image).await.map(drop),
            PartImage::Named(named) => self.pull_image(named).await,
        }
    }

    pub(super) async fn images_of_registry(&self) -> Result<Vec<ImageRef>, Error> {
        let Some(registry) = &self.settings.registry else { return Ok(Vec::new()) };
        let options = ListImagesOptionsBuilder::new().digests(true).build();
        let listed = within(QUICK, self.docker.list_images(Some(options))).await?;
        let prefix = format!("{registry}/");
        let names = listed.iter().flat_map(|image| &image.repo_digests);
        let own = names.filter(|name| name.starts_with(&prefix));
        let mut images: Vec<ImageRef> = own.filter_map(|name| name.parse().ok()).collect();
        images.sort();
        images.dedup();
        Ok(images)
    }

    pub(super) async fn push_as(
        &self,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let Some(registry) = &self.settings.registry else {
            return Err(Error::Refused("this machine knows of no registry".to_owned()));
        };
        let name = format!("{registry}/{repository}");
        let known = self.known_as(image).await?;
        let tag = TagImageOptionsBuilder::new().repo(&name).tag(TAG).build();
        within(QUICK, self.docker.tag_image(&known, Some(tag))).await?;
        let digest = self.push_to_registry(&name).await?;
        ImageRef::new(&name, digest).map_err(|err| Error::Refused(err.to_string()))
    }
}
