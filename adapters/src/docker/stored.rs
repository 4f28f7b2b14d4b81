//! What the platform's builds left on this engine: which images there are, who uses them, and their removal.
//!
//! Owns how such images are known: by their label. Never tells of, nor touches, what does not carry it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use bollard::models::ImageSummary;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use common::digest::{Digest, ImageRef};
use common::port::container::label;
use common::port::containers::Error;
use common::port::disk::{Kind, Removed, StoredImage};
use jiff::Timestamp;

use super::body::IMAGE;
use super::failure::{attempt, classify, is_missing, said, within};
use super::{Engine, START};

impl Engine {
    /// Sizes of layers are summed up by the engine, which takes it a while where there are many.
    pub(super) async fn list_stored(&self) -> Result<Vec<StoredImage>, Error> {
        let users = self.users_of_images().await?;
        let mut stored = Vec::new();
        for (value, kind) in [(IMAGE, Kind::Image), (label::STAGE, Kind::Stage)] {
            let filters = HashMap::from([("label", vec![format!("{}={value}", label::PLATFORM)])]);
            let options = ListImagesOptionsBuilder::new().filters(&filters).shared_size(true);
            let listed = within(START, self.docker.list_images(Some(options.build()))).await?;
            stored.extend(listed.iter().filter_map(|image| read(image, kind, &users)));
        }
        stored.sort_by(oldest_first);
        Ok(stored)
    }

    /// The names of all containers, by the ids of their images.
    async fn users_of_images(&self) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let containers = within(START, self.docker.list_containers(Some(options))).await?;
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for container in containers {
            let name = container.names.and_then(|names| names.into_iter().next());
            let (Some(name), Some(image)) = (name, container.image_id) else { continue };
            users.entry(image).or_default().push(name.trim_start_matches('/').to_owned());
        }
        for names in users.values_mut() {
            names.sort();
        }
        Ok(users)
    }

    /// The engine itself refuses to remove one that a container uses, or that another one stands on.
    pub(super) async fn remove_stored(&self, id: &Digest) -> Result<Removed, Error> {
        // A build would not find what it took from its cache; a long one is not waited for.
        let Ok(_layers) = self.layers.try_write() else {
            return Ok(Removed::Stays("an image is being built".to_owned()));
        };
        let found = match attempt(START, self.docker.inspect_image(id.as_str())).await? {
            Ok(found) => found,
            Err(err) if is_missing(&err) => return Ok(Removed::Gone),
            Err(err) => return Err(classify(err)),
        };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        let kind = labels.get(label::PLATFORM).map(String::as_str);
        if kind != Some(IMAGE) && kind != Some(label::STAGE) {
            return Ok(Removed::Stays("the platform did not build it".to_owned()));
        }
        let removal = self.docker.remove_image(id.as_str(), None::<RemoveImageOptions>, None);
        match attempt(START, removal).await? {
            Ok(_) => Ok(Removed::Gone),
            Err(err) if is_missing(&err) => Ok(Removed::Gone),
            Err(err) => match said(&err) {
                Some((_, words)) => Ok(Removed::Stays(words.to_owned())),
                None => Err(classify(err)),
            },
        }
    }
}

fn oldest_first(one: &StoredImage, other: &StoredImage) -> Ordering {
    (one.created, &one.id).cmp(&(other.created, &other.id))
}

/// One whose id cannot be read cannot be removed by it: it is left out.
fn read(
    image: &ImageSummary,
    kind: Kind,
    users: &BTreeMap<String, Vec<String>>,
) -> Option<StoredImage> {
    let id: Digest = image.id.parse().ok()?;
    let by_digest = image.repo_digests.iter().filter_map(|name| name.parse().ok());
    let by_content = image.repo_tags.iter().filter_map(|tag| built_of(tag));
    let mut names: Vec<ImageRef> = by_digest.chain(by_content).collect();
    names.sort();
    names.dedup();
    let bytes = u64::try_from(image.size).unwrap_or_default();
    // An engine that does not say what is shared says -1: then nothing is known to be its own.
    let shared = u64::try_from(image.shared_size).unwrap_or(bytes);
    Some(StoredImage {
        kind,
        names,
        repository: image.labels.get(label::REPOSITORY).cloned(),
        bytes,
        own_bytes: bytes.saturating_sub(shared),
        created: Timestamp::from_second(image.created).unwrap_or(Timestamp::UNIX_EPOCH),
        containers: users.get(&image.id).cloned().unwrap_or_default(),
        id,
    })
}

/// The name by digest of what is called by the digest of what it was built of: [`super::images::tag_of`] back.
fn built_of(tag: &str) -> Option<ImageRef> {
    let (repository, hex) = tag.rsplit_once(':')?;
    ImageRef::new(repository, format!("sha256:{hex}").parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::images::tag_of;
    use super::*;

    fn summary() -> ImageSummary {
        ImageSummary {
            id: Digest::of(b"image").to_string(),
            created: 1_767_225_600,
            size: 300,
            shared_size: 200,
            ..ImageSummary::default()
        }
    }

    #[test]
    fn an_image_is_known_by_all_its_names_and_what_only_it_takes() {
        let code = ImageRef::new("avishkar-code", Digest::of(b"code")).unwrap();
        let pushed =
            ImageRef::new("registry.example.org:5000/apps/shop", Digest::of(b"x")).unwrap();
        let summary = ImageSummary {
            repo_tags: vec![tag_of(&code), "registry.example.org:5000/apps/shop:latest".to_owned()],
            repo_digests: vec![pushed.to_string(), "<none>@<none>".to_owned()],
            labels: [(label::REPOSITORY.to_owned(), "apps/shop".to_owned())].into(),
            ..summary()
        };
        let users = [(summary.id.clone(), vec!["shop_instance_1".to_owned()])].into();
        let stored = read(&summary, Kind::Image, &users).unwrap();
        assert_eq!(stored.names, [code, pushed]);
        assert_eq!((stored.bytes, stored.own_bytes), (300, 100));
        assert_eq!(stored.containers, ["shop_instance_1"]);
        assert_eq!(stored.repository.as_deref(), Some("apps/shop"));
    }

    #[test]
    fn where_nobody_says_what_is_shared_nothing_is_its_own() {
        let silent = ImageSummary { shared_size: -1, ..summary() };
        assert_eq!(read(&silent, Kind::Stage, &BTreeMap::new()).unwrap().own_bytes, 0);
        let nameless = ImageSummary { id: "x".to_owned(), ..summary() };
        assert_eq!(read(&nameless, Kind::Stage, &BTreeMap::new()), None);
    }
}
