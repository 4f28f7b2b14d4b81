//! [`AzureFiles`]: Azure Files over its REST interface.
//!
//! Owns how a folder is gone through page by page, and how a file is read so that it is never a mix: the service has no
//! condition for that, so each piece must come with the `ETag` that was listed, and the file must still have it after the
//! last one.

mod answer;
mod listing;
mod request;
mod sign;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::share::{
    ChunkStream, Entry, Error, Folder, Limits, Listing, MAX_CHUNK, Unfit, Version,
};
use common::port::{Clock, Share};
use futures::{StreamExt as _, stream};
use reqwest::StatusCode;

use self::answer::{Answer, Failure};
use self::request::{Client, Question};
use super::exact::{changed, exactly};
use super::settings::{AzureSettings, InvalidShare};

/// As many names as one page has.
const PAGE: &str = "1000";

/// A share of Azure Files. Clones share its connections.
#[derive(Debug, Clone)]
pub struct AzureFiles {
    client: Arc<Client>,
}

impl AzureFiles {
    pub fn new(settings: &AzureSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidShare> {
        Ok(AzureFiles { client: Arc::new(Client::new(settings, clock)?) })
    }

    /// Lists one folder; the folders in it are left for later.
    async fn list_one(
        &self,
        top: &Folder,
        path: &str,
        listing: &mut Listing,
        folders: &mut Vec<String>,
    ) -> Result<(), Error> {
        let full: Vec<&str> = top.segments().chain(segments(path)).collect();
        let mut marker = String::new();
        loop {
            let mut question = Question::get(&full)
                .with("restype", "directory")
                .with("comp", "list")
                .with("include", "Timestamps,ETag")
                .with("maxresults", PAGE);
            if !marker.is_empty() {
                question = question.with("marker", &marker);
            }
            let asked = self.client.ask(&question).await;
            let answer = asked.map_err(|err| self.failed(err, top, path))?;
            let page = listing::read(&answer.body)
                .map_err(|err| self.failed(Failure::Strange(err), top, path))?;
            for file in page.files {
                let version = Version::new(file.tag);
                listing.add(&joined(path, &file.name), file.size, version)?;
            }
            for name in page.folders {
                let below = joined(path, &name);
                listing.pass_over()?;
                if Listing::is_hidden(&name) {
                    continue;
                }
                match below.parse::<Folder>() {
                    Ok(_) if !name.contains('/') => folders.push(below),
                    Ok(_) => return Err(listing.refused(&below, Unfit::Slashes)),
                    Err(why) => return Err(listing.refused(&below, why)),
                }
            }
            if page.next.is_empty() {
                return Ok(());
            }
            if page.next == marker {
                let endless = Failure::Strange("its list of files does not end".to_owned());
                return Err(self.failed(endless, top, path));
            }
            // Each page counts, or a share of empty pages would never end.
            listing.pass_over()?;
            marker = page.next;
        }
    }

    fn failed(&self, failure: Failure, folder: &Folder, path: &str) -> Error {
        let place = self.client.place.clone();
        match failure {
            Failure::Absent if path.is_empty() => Error::NotFound { place, folder: folder.clone() },
            Failure::Absent => {
                let gone = Failure::Strange(format!("the folder {path:?} went away"));
                Error::Unavailable { place, source: gone.into_cause() }
            }
            Failure::Refused(said) => Error::CredentialsRefused { place, said },
            other @ (Failure::Strange(_) | Failure::Lost(_) | Failure::Busy { .. }) => {
                Error::Unavailable { place, source: other.into_cause() }
            }
        }
    }

    /// The bytes of a file from `start`, at most [`MAX_CHUNK`].
    async fn piece(&self, folder: &Folder, entry: &Entry, start: u64) -> Result<Bytes, Error> {
        let wanted = (entry.size - start).min(MAX_CHUNK as u64);
        let range = format!("bytes={start}-{}", start + wanted - 1);
        let question = Question::get(&path_of(folder, entry)).ranged(range);
        let answer = self.look(folder, entry, &question).await?;
        if answer.body.len() as u64 == wanted {
            Ok(answer.body)
        } else {
            Err(changed(&self.client.place, entry))
        }
    }

    /// Asks about a file, which must be the one that was listed.
    async fn look(
        &self,
        folder: &Folder,
        entry: &Entry,
        question: &Question,
    ) -> Result<Answer, Error> {
        let place = &self.client.place;
        let answer = match self.client.ask(question).await {
            Ok(answer) => answer,
            Err(Failure::Absent) => return Err(changed(place, entry)),
            Err(failure) => return Err(self.failed(failure, folder, "")),
        };
        let is_same = answer.tag == entry.version.as_str()
            && answer.status != StatusCode::RANGE_NOT_SATISFIABLE;
        if is_same { Ok(answer) } else { Err(changed(place, entry)) }
    }

    async fn next_piece(&self, reading: &mut Reading) -> Result<Option<Bytes>, Error> {
        let Reading { folder, entry, start } = reading;
        if *start < entry.size {
            let piece = self.piece(folder, entry, *start).await?;
            *start += piece.len() as u64;
            return Ok(Some(piece));
        }
        let answer = self.look(folder, entry, &Question::head(&path_of(folder, entry))).await?;
        if answer.length == Some(entry.size) {
            Ok(None)
        } else {
            Err(changed(&self.client.place, entry))
        }
    }
}

/// How far a file is read.
struct Reading {
    folder: Folder,
    entry: Entry,
    start: u64,
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn path_of<'a>(folder: &'a Folder, entry: &'a Entry) -> Vec<&'a str> {
    folder.segments().chain(segments(entry.name.as_str())).collect()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

#[async_trait]
impl Share for AzureFiles {
    fn place(&self) -> &str {
        &self.client.place
    }

    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error> {
        let mut listing = Listing::begin(&self.client.place, folder, limits);
        let mut folders = vec![String::new()];
        while let Some(path) = folders.pop() {
            self.list_one(folder, &path, &mut listing, &mut folders).await?;
        }
        listing.finish()
    }

    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error> {
        let reading = Reading { folder: folder.clone(), entry: entry.clone(), start: 0 };
        let source = stream::try_unfold((self.clone(), reading), |(share, mut reading)| async {
            let piece = share.next_piece(&mut reading).await?;
            Ok(piece.map(|piece| (piece, (share, reading))))
        });
        Ok(exactly(&self.client.place, entry, source.boxed()))
    }
}
