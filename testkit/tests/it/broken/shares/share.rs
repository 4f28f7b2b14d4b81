//! [`FlawedShare`]: a share in memory behind a flaw.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::{ChunkStream, Entry, Error, Folder, Limits, MAX_CHUNK, Version};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use testkit::MemoryShare;
use testkit::shares::Health;

use super::flaw::{Flaw, SECRET};

#[derive(Clone)]
pub(super) struct FlawedShare {
    memory: MemoryShare,
    flaw: Flaw,
    count: Arc<AtomicU64>,
    /// What was read last, for who confuses readers.
    last: Arc<Mutex<Option<Entry>>>,
    remembered: Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>,
    blaming: Option<Arc<FlawedShare>>,
}

impl fmt::Debug for FlawedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.flaw == Flaw::ShowsItsSecret { SECRET } else { "FlawedShare" })
    }
}

impl FlawedShare {
    pub(super) fn new(memory: MemoryShare, flaw: Flaw) -> Self {
        let down = MemoryShare::new("memory");
        down.set_health(Health::Down);
        let of = |memory, blaming| FlawedShare {
            memory,
            flaw,
            count: Arc::default(),
            last: Arc::default(),
            remembered: Arc::default(),
            blaming,
        };
        let blaming = Arc::new(of(down, None));
        of(memory, Some(blaming))
    }

    /// The same, unreachable.
    pub(super) fn blaming(&self) -> &dyn Share {
        self.blaming.as_deref().unwrap_or(self)
    }

    /// The listed file, as it is now.
    async fn current(&self, folder: &Folder, entry: &Entry) -> Result<Entry, Error> {
        let listed = self.memory.list(folder, &Limits::default()).await?;
        let found = listed.into_iter().find(|found| found.name == entry.name);
        let changed =
            || Error::Changed { place: self.place().to_owned(), name: entry.name.clone() };
        found.ok_or_else(changed)
    }

    async fn content(&self, folder: &Folder, entry: &Entry) -> Result<Vec<Bytes>, Error> {
        self.memory.read(folder, entry).await?.try_collect().await
    }

    /// As it should be at the beginning, and whatever there is afterwards.
    fn mixed(&self, folder: &Folder, entry: &Entry) -> ChunkStream {
        let reading = (self.clone(), folder.clone(), entry.clone(), 0);
        stream::try_unfold(reading, |(share, folder, entry, start)| async move {
            let now = share.current(&folder, &entry).await?;
            let content = share.content(&folder, &now).await?.concat();
            let piece: Bytes = content.into_iter().skip(start).take(MAX_CHUNK).collect();
            let end = start + piece.len();
            Ok((!piece.is_empty()).then_some((piece, (share, folder, entry, end))))
        })
        .boxed()
    }

    async fn is_as_listed(&self, folder: &Folder, entry: &Entry) -> bool {
        self.current(folder, entry).await.is_ok_and(|now| now == *entry)
    }

    /// Whether anybody ever wrote to the share.
    async fn has_files(&self) -> bool {
        self.memory.list(&Folder::top(), &Limits::default()).await.is_ok()
    }

    /// What a file of this path and size held when it was first read.
    async fn remembered(
        &self,
        folder: &Folder,
        entry: &Entry,
        chunks: ChunkStream,
    ) -> Result<ChunkStream, Error> {
        let path = format!("{} {}", folder.path_of(&entry.name), entry.size);
        let known = self.remembered.lock().unwrap().get(&path).cloned();
        let content = match known {
            Some(known) => known,
            None => chunks.try_collect().await?,
        };
        self.remembered.lock().unwrap().insert(path, content.clone());
        Ok(stream::iter(content.into_iter().map(Ok)).boxed())
    }

    /// The file that somebody opened last.
    fn confused(&self, folder: &Folder, entry: &Entry) -> ChunkStream {
        *self.last.lock().unwrap() = Some(entry.clone());
        let reading = (self.clone(), folder.clone());
        stream::once(async move {
            let (share, folder) = reading;
            tokio::task::yield_now().await;
            let last = share.last.lock().unwrap().clone().expect("somebody opened it");
            share.memory.read(&folder, &last).await
        })
        .try_flatten()
        .boxed()
    }
}

#[async_trait]
impl Share for FlawedShare {
    fn place(&self) -> &str {
        self.memory.place()
    }

    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error> {
        let limits = if self.flaw == Flaw::KnowsNoBounds { Limits::default() } else { *limits };
        match (self.flaw, self.memory.list(folder, &limits).await) {
            (Flaw::StaysAtTheTop, Ok(mut listed)) => {
                listed.retain(|entry| entry.name.folders().next().is_none());
                Ok(listed)
            }
            (Flaw::DoesNotSort, Ok(listed)) => Ok(listed.into_iter().rev().collect()),
            (Flaw::ListsNothing, Err(Error::NotFound { .. })) if self.has_files().await => {
                Ok(Vec::new())
            }
            (Flaw::TakesFilesForFolders, Err(err)) => match folder.as_str().rsplit_once('/') {
                Some((above, "file")) => self.memory.list(&above.parse().unwrap(), &limits).await,
                Some(_) | None => Err(err),
            },
            (Flaw::ConfusesFolders, Ok(mut listed)) if folder.as_str().ends_with("app") => {
                let other: Folder = format!("{}2", folder.as_str()).parse().unwrap();
                listed.extend(self.memory.list(&other, &limits).await?);
                Ok(listed)
            }
            (Flaw::SaysAnotherVersionEachTime, Ok(listed)) => {
                Ok(versioned(listed, self.count.fetch_add(1, Ordering::Relaxed)))
            }
            (Flaw::KeepsItsVersion, Ok(listed)) => Ok(versioned(listed, 0)),
            (Flaw::TakesOneOfAnySize, Err(err)) => {
                let any = self.memory.list(folder, &Limits::default()).await;
                any.ok().filter(|any| any.len() == 1).ok_or(err)
            }
            (_, listed) => listed,
        }
    }

    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error> {
        match (self.flaw, self.memory.read(folder, entry).await) {
            (Flaw::CutsFiles, Ok(chunks)) => {
                let mut content: Vec<Bytes> = chunks.try_collect().await?;
                content.pop();
                Ok(stream::iter(content.into_iter().map(Ok)).boxed())
            }
            (Flaw::GivesAllAtOnce, Ok(chunks)) => {
                let content: Vec<Bytes> = chunks.try_collect().await?;
                Ok(stream::iter([Ok(content.concat().into())]).boxed())
            }
            (Flaw::GivesWhatIsThere, _) => {
                let now = self.current(folder, entry).await?;
                self.memory.read(folder, &now).await
            }
            (Flaw::MixesContents, Ok(_)) if self.is_as_listed(folder, entry).await => {
                Ok(self.mixed(folder, entry))
            }
            (Flaw::ConfusesReaders, Ok(_)) => Ok(self.confused(folder, entry)),
            (Flaw::RemembersFiles, Ok(chunks)) => self.remembered(folder, entry, chunks).await,
            (_, chunks) => chunks,
        }
    }
}

fn versioned(mut listed: Vec<Entry>, count: u64) -> Vec<Entry> {
    for entry in &mut listed {
        entry.version = Version::new(count.to_string());
    }
    listed
}
