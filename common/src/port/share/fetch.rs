//! Reading whole folders: several files at once, each as it was listed or none of them.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};

use super::{ChunkStream, Context, Entry, Error, FileName, Folder, Limits, Share};

/// So many files are read at once: enough to hide the way to the share, few enough for its patience.
const AT_ONCE: usize = 8;

/// A folder as a build context. Ask with its digest whether its image is there already.
pub async fn context(
    share: &dyn Share,
    folder: &Folder,
    limits: &Limits,
) -> Result<Context, Error> {
    Ok(Context::of(&read(share, folder, limits).await?))
}

/// All files of a folder. Who changes one of them meanwhile is noticed; who adds one is not.
pub async fn read(
    share: &dyn Share,
    folder: &Folder,
    limits: &Limits,
) -> Result<BTreeMap<FileName, Bytes>, Error> {
    let entries = share.list(folder, limits).await?;
    let mut files = BTreeMap::new();
    let mut waiting = entries.iter();
    let mut reading: Vec<Pin<Box<dyn Future<Output = _> + Send + '_>>> = Vec::new();
    loop {
        while reading.len() < AT_ONCE
            && let Some(entry) = waiting.next()
        {
            reading.push(Box::pin(whole(share, folder, entry)));
        }
        if reading.is_empty() {
            return Ok(files);
        }
        let (index, content) = poll_fn(|cx| {
            let polled = reading.iter_mut().enumerate().map(|(index, file)| {
                file.as_mut().poll(cx).map(|content: Result<_, Error>| (index, content))
            });
            polled.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await;
        drop(reading.swap_remove(index));
        let (name, content) = content?;
        files.insert(name, content);
    }
}

async fn whole(
    share: &dyn Share,
    folder: &Folder,
    entry: &Entry,
) -> Result<(FileName, Bytes), Error> {
    let mut chunks = share.read(folder, entry).await?;
    let changed = || Error::Changed { place: share.place().to_owned(), name: entry.name.clone() };
    let size = usize::try_from(entry.size).map_err(|_| changed())?;
    let mut content = BytesMut::with_capacity(size);
    while let Some(chunk) = next(&mut chunks).await {
        content.extend_from_slice(&chunk?);
        if content.len() > size {
            return Err(changed());
        }
    }
    if content.len() == size { Ok((entry.name.clone(), content.freeze())) } else { Err(changed()) }
}

async fn next(chunks: &mut ChunkStream) -> Option<Result<Bytes, Error>> {
    poll_fn(|cx| chunks.as_mut().poll_next(cx)).await
}
