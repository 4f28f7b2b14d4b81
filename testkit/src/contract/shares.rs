//! What every [`Share`] keeps, and what is made of its files: one clause a sentence of the port's words.

mod context;
mod entry;
mod listing;
mod reading;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::{Entry, Error, Folder, Limits};
use futures::TryStreamExt as _;
use tokio::time::timeout;

use super::Clause;
use super::clause::{all_hold, clauses};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A share, and what the suite needs to know of it.
#[async_trait(?Send)]
pub trait World {
    fn share(&self) -> &dyn Share;

    /// The same share for somebody whom it does not let in; none where there is no such person.
    fn refused(&self) -> Option<&dyn Share>;

    /// What must be shown nowhere.
    fn secrets(&self) -> Vec<String>;

    /// A folder in which there is nothing; another each time.
    fn fresh_folder(&self) -> Folder;

    /// Writes a file, by its path from the top of the share, with the folders it is in.
    async fn put(&self, path: &str, content: Bytes);

    async fn remove(&self, path: &str);

    /// Whether its server replaces a file as a whole. One that writes over what is being read mixes the two itself,
    /// which nobody who reads can see.
    fn replaces_whole_files(&self) -> bool {
        true
    }

    /// Puts a file into a folder under a name as somebody hostile would; says whether the share keeps such names.
    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool;
}

/// All clauses.
pub const CLAUSES: &[Clause<dyn World>] = clauses![
    entry::is_for_those_whom_the_share_knows,
    entry::shows_no_secret,
    listing::says_every_file_at_any_depth,
    listing::leaves_out_what_begins_with_a_dot,
    listing::knows_no_folder_without_files,
    listing::tells_folders_apart,
    listing::has_another_version_for_another_content,
    listing::is_bounded,
    listing::refuses_names_that_lead_elsewhere,
    reading::gives_the_bytes_in_chunks,
    reading::refuses_what_changed_since_it_was_listed,
    reading::never_mixes_two_contents,
    context::is_the_same_for_the_same_files,
    context::is_another_for_other_files,
    context::fails_where_a_file_is_refused,
];

/// Fails unless the share of `world` keeps the contract.
pub async fn holds(world: &(dyn World + 'static)) {
    all_hold(CLAUSES, world).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn put(world: &dyn World, folder: &Folder, name: &str, content: impl Into<Bytes>) {
    within(world.put(&format!("{}/{name}", folder.as_str()), content.into())).await;
}

async fn list(world: &dyn World, folder: &Folder) -> Result<Vec<Entry>, Error> {
    within(world.share().list(folder, &Limits::default())).await
}

/// The only file of a folder.
async fn only(world: &dyn World, folder: &Folder) -> Entry {
    let mut listed = list(world, folder).await.expect("the folder is listed");
    assert_eq!(listed.len(), 1, "one file: {listed:?}");
    listed.remove(0)
}

async fn read(world: &dyn World, folder: &Folder, entry: &Entry) -> Result<Vec<Bytes>, Error> {
    within(async { world.share().read(folder, entry).await?.try_collect().await }).await
}

/// Bytes that differ from place to place, and from seed to seed.
fn bytes(length: usize, seed: u8) -> Bytes {
    (0..=252_u8).map(|byte| byte ^ seed).cycle().take(length).collect()
}
