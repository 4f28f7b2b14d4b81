//! The way back, kept in the folder until nginx is seen to serve what came instead.
//!
//! Owns one hidden file, which nginx does not read. Never decides whether a change is taken back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{MARK, Undo, is_there, ours, remove, write};

pub(super) const KEPT: &str = ".avishkar.former";

pub(super) fn keep(folder: &Path, undo: &Undo) -> io::Result<()> {
    if is_there(&folder.join(KEPT))? && ours(&folder.join(KEPT), u64::MAX)?.is_none() {
        return Err(io::Error::other(format!("{KEPT} is somebody else's")));
    }
    // What somebody made of our file may be no text; it is damage before and after.
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let former: BTreeMap<&String, Option<String>> =
        undo.former.iter().map(|(name, bytes)| (name, bytes.as_ref().map(text))).collect();
    let words = format!("{MARK}\n{}", serde_json::to_string(&former)?);
    let beside = folder.join(format!("{KEPT}.new"));
    let stands = write(&beside, words.as_bytes())
        .and_then(|()| fs::rename(&beside, folder.join(KEPT)))
        .and_then(|()| File::open(folder)?.sync_all());
    stands.inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// None where no change was broken off.
pub(super) fn find(folder: &Path) -> io::Result<Option<Undo>> {
    let path = folder.join(KEPT);
    if !is_there(&path)? {
        return Ok(None);
    }
    let Some(bytes) = ours(&path, u64::MAX)? else { return Ok(None) };
    let words = bytes.get(MARK.len()..).unwrap_or_default();
    let former: BTreeMap<String, Option<String>> = serde_json::from_slice(words)?;
    let bytes = |(name, text): (String, Option<String>)| (name, text.map(String::into_bytes));
    let is_conf = |name: &String| Path::new(name).extension().is_some_and(|it| it == "conf");
    let is_name = |name: &String| !name.contains('/') && is_conf(name);
    let former = former.into_iter().filter(|(name, _)| is_name(name)).map(bytes).collect();
    Ok(Some(Undo { former }))
}

pub(super) fn forget(folder: &Path) -> io::Result<()> {
    let path = folder.join(KEPT);
    if is_there(&path)? && ours(&path, u64::MAX)?.is_some() {
        remove(&path)?;
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
