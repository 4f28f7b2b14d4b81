//! Where parts have their files and folders on this machine: `parts/<part>/files`, `parts/<part>/volumes` and `shared`
//! below the agent's own folder.
//!
//! Owns that they are there, and belong to the part's user, before its container is started. Never says what is in them.

mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::blocking;
use common::name::PartName;
use common::port::containers::Error;
use common::port::part::{PartFolders, PartSpec};
use common::port::part_containers::PartSite;

use tree::Tree;

/// A few small files.
const PUT_WITHIN: Duration = Duration::from_secs(20);
/// All that a broker has written.
const CLEAR_WITHIN: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(super) struct Place {
    tree: Tree,
}

impl Place {
    /// `folder` is the agent's own.
    pub(super) fn new(folder: &Path, machines_socket: PathBuf) -> Self {
        Place { tree: Tree::new(folder, machines_socket) }
    }

    /// Puts a part's files and folders where they belong; may be repeated.
    pub(super) async fn prepare(&self, spec: &PartSpec) -> Result<PartSite, Error> {
        let (tree, spec) = (self.tree.clone(), spec.clone());
        let prepared = blocking::run(PUT_WITHIN, move |_| tree.prepare(&spec)).await;
        prepared.map_err(|err| Error::Unavailable(err.into()))?.map_err(failed)
    }

    /// Removes the files of specifications that this one took the place of. They are in nobody's way, so it is only
    /// told if they stay.
    pub(super) async fn keep_only(&self, spec: &PartSpec) {
        let (tree, name, hash) = (self.tree.clone(), spec.name.clone(), spec.hash());
        let removed = blocking::run(PUT_WITHIN, move |_| tree.keep_only(&name, &hash)).await;
        if let Err(err) = removed.map_err(io::Error::other).flatten() {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                part = %spec.name,
                "files of a former specification stay"
            );
        }
    }

    /// Removes a part's files, and its own folders if they are not wanted any more.
    pub(super) async fn clear(&self, name: &PartName, data: PartFolders) -> Result<(), Error> {
        let (tree, name) = (self.tree.clone(), name.clone());
        let cleared = blocking::run(CLEAR_WITHIN, move |_| tree.clear(&name, data)).await;
        cleared.map_err(|err| Error::Unavailable(err.into()))?.map_err(failed)
    }
}

fn failed(err: io::Error) -> Error {
    if matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::Full(err.into());
    }
    Error::Refused(format!("its files and folders cannot be put in place: {err}"))
}
