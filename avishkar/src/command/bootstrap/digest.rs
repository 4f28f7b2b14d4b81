//! `avishkar bootstrap digest`: by which digest the code in a folder is named, whatever share it is put on.

use std::path::Path;

use adapters::FolderShare;
use common::digest::Digest;
use common::port::share::{self, Folder, Limits};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Told {
    digest: Digest,
}

pub(super) async fn tell(folder: &Path, output: Output) -> anyhow::Result<()> {
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", folder.display()));
    let path = std::path::absolute(folder).map_err(|err| wrong(err.to_string()))?;
    let share = FolderShare::new(&path).map_err(|err| wrong(err.to_string()))?;
    let read = share::context(&share, &Folder::top(), &Limits::default()).await;
    let digest = read.map_err(|err| wrong(format!("{err}: {}", err.hint())))?.digest;
    let text = digest.to_string();
    output.answer(&Told { digest }, &text)
}
