//! [`ArchivedImages`]: images in files, each as `docker save` writes one, beside those of an engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::digest::{self, Digest};
use common::port::Images;
use common::port::host::ChunkStream;
use common::port::images::Error;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::DockerImages;

/// Only the list of what is in an archive is read, wherever in it that is.
const LOOK: Duration = Duration::from_mins(1);
const CHUNK: usize = 256 * 1024;
const LIST: &str = "manifest.json";
const LARGEST_LIST: u64 = 1024 * 1024;
/// How a compressed file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is called by an absolute path is a file; everything else is an image of the engine, if there is one.
#[derive(Debug)]
pub struct ArchivedImages {
    engine: Option<DockerImages>,
    /// Where images were found.
    files: Mutex<BTreeMap<Digest, PathBuf>>,
}

/// Why a file is no archive of an image.
#[derive(Debug, thiserror::Error)]
enum NotAnArchive {
    #[error("it cannot be read as an archive")]
    Io(#[from] io::Error),
    #[error("it is compressed: gunzip it first")]
    Compressed,
    #[error("there is no {LIST} in it: make it with `docker save`")]
    NoList,
    #[error("its {LIST} is damaged")]
    Damaged(#[from] serde_json::Error),
    #[error("there are {0} images in it: save each in a file of its own")]
    Several(usize),
    #[error("its image is not known by a digest")]
    NoDigest(#[from] digest::Error),
    #[error("it was not read within {LOOK:?}")]
    Late,
    #[error("reading it ended early")]
    Ended,
}

impl ArchivedImages {
    pub fn new(engine: Option<DockerImages>) -> Self {
        ArchivedImages { engine, files: Mutex::default() }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<Digest, PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find_file(&self, path: &Path) -> Result<Option<Digest>, Error> {
        let file = path.to_owned();
        #[expect(clippy::disallowed_methods, reason = "files are read by blocking calls")]
        let looking = tokio::task::spawn_blocking(move || id_of(&file));
        let found = match timeout(LOOK, looking).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(NotAnArchive::Ended),
            Err(_) => Err(NotAnArchive::Late),
        };
        let found = found.map_err(|err| Error::Unavailable(err.into()))?;
        if let Some(id) = &found {
            self.files().insert(id.clone(), path.to_owned());
        }
        Ok(found)
    }
}

#[async_trait]
impl Images for ArchivedImages {
    async fn find(&self, name: &str) -> Result<Option<Digest>, Error> {
        if name.starts_with('/') {
            return self.find_file(Path::new(name)).await;
        }
        match &self.engine {
            Some(engine) => engine.find(name).await,
            None => Ok(None),
        }
    }

    /// An image of a file is an archive of its own: it is asked for alone.
    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error> {
        let in_file = images.iter().find_map(|image| self.files().get(image).cloned());
        match (images, in_file, &self.engine) {
            ([_], Some(file), _) => {
                let opened = tokio::fs::File::open(&file).await;
                let opened = opened.map_err(|err| Error::Unavailable(err.into()))?;
                Ok(ReaderStream::with_capacity(opened, CHUNK).boxed())
            }
            (_, None, Some(engine)) => engine.archive(images).await,
            (_, Some(_), _) | (_, None, None) => {
                let names: Vec<&str> = images.iter().map(Digest::as_str).collect();
                Err(Error::NotFound(names.join(", ")))
            }
        }
    }
}

/// One image of the list of an archive.
#[derive(Deserialize)]
struct Listed {
    /// Where its configuration is, whose digest is the image's id: `<hex>.json` or `blobs/sha256/<hex>`.
    #[serde(rename = "Config")]
    config: String,
}

/// None where there is no such file.
fn id_of(path: &Path) -> Result<Option<Digest>, NotAnArchive> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    let mut begins = [0; 2];
    file.read_exact(&mut begins)?;
    if begins == GZIP {
        return Err(NotAnArchive::Compressed);
    }
    file.seek(SeekFrom::Start(0))?;
    let listed: Vec<Listed> = serde_json::from_slice(&list(file)?)?;
    let [image] = listed.as_slice() else { return Err(NotAnArchive::Several(listed.len())) };
    let name = image.config.rsplit('/').next().unwrap_or_default();
    let hex = name.strip_suffix(".json").unwrap_or(name);
    Ok(Some(format!("sha256:{hex}").parse()?))
}

fn list(file: File) -> Result<Vec<u8>, NotAnArchive> {
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if entry.path_bytes().as_ref() == LIST.as_bytes() {
            let mut text = Vec::new();
            entry.take(LARGEST_LIST).read_to_end(&mut text)?;
            return Ok(text);
        }
    }
    Err(NotAnArchive::NoList)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len().try_into().unwrap());
            header.set_mode(0o644);
            archive.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    async fn found(bytes: &[u8]) -> Result<Option<Digest>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        std::fs::write(&path, bytes).unwrap();
        let found = ArchivedImages::new(None).find(&path.to_string_lossy()).await;
        found.map_err(|err| match err {
            Error::Unavailable(why) => why.to_string(),
            Error::NotFound(what) => what,
        })
    }

    #[tokio::test]
    async fn an_image_in_a_file_is_known_by_its_id_in_both_forms_of_archives() {
        let id: Digest = format!("sha256:{HEX}").parse().unwrap();
        for config in [format!("{HEX}.json"), format!("blobs/sha256/{HEX}")] {
            let list = format!(r#"[{{"Config":"{config}","RepoTags":["a:b"],"Layers":["l"]}}]"#);
            let layer = "x".repeat(70_000);
            let bytes = archive(&[("l/layer.tar", &layer), (LIST, &list)]);
            assert_eq!(found(&bytes).await, Ok(Some(id.clone())));
        }
    }

    #[tokio::test]
    async fn what_is_no_archive_of_one_image_is_told() {
        let two = format!(r#"[{{"Config":"{HEX}.json"}},{{"Config":"{HEX}.json"}}]"#);
        let cases: [(Vec<u8>, &str); 5] = [
            (archive(&[("index.json", "{}")]), "there is no manifest.json in it"),
            (archive(&[(LIST, &two)]), "there are 2 images in it"),
            (archive(&[(LIST, "{")]), "its manifest.json is damaged"),
            (archive(&[(LIST, r#"[{"Config":"x"}]"#)]), "its image is not known by a digest"),
            (vec![0x1f, 0x8b, 8, 0], "it is compressed"),
        ];
        for (bytes, why) in cases {
            let told = found(&bytes).await.unwrap_err();
            assert!(told.starts_with(why), "{told}");
        }
    }

    #[tokio::test]
    async fn a_file_is_given_as_it_is_and_what_nobody_has_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        let bytes = archive(&[(LIST, &format!(r#"[{{"Config":"{HEX}.json"}}]"#))]);
        std::fs::write(&path, &bytes).unwrap();
        let images = ArchivedImages::new(None);
        let id = images.find(&path.to_string_lossy()).await.unwrap().unwrap();
        let chunks: Vec<_> =
            images.archive(std::slice::from_ref(&id)).await.unwrap().try_collect().await.unwrap();
        assert_eq!(chunks.concat(), bytes);
        assert_eq!(images.find("/surely/not/there.tar").await.unwrap(), None);
        assert_eq!(images.find("avishkar/edge:dev").await.unwrap(), None);
        let other = Digest::of(b"other");
        for several in [vec![other.clone()], vec![id, other]] {
            assert!(matches!(images.archive(&several).await, Err(Error::NotFound(_))));
        }
    }
}
