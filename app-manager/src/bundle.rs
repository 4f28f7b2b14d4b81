//! What an uploaded bundle is: a checked archive, what it says about itself, how its image is built.
//!
//! All of it is blocking and pure but for reading the one file; the caller runs it beside the async
//! threads. Reading order: [`archive`] checks, [`detect`] finds out, [`manifest`] and [`app_json`] are
//! what the bundle says, [`model`] is what it is then, where it says so.

pub(crate) mod app_json;
pub(crate) mod archive;
pub(crate) mod detect;
pub(crate) mod json;
pub(crate) mod manifest;
pub(crate) mod model;
pub(crate) mod procfile;

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use common::record::release::BuildPlan;

use self::app_json::AppJson;
use self::archive::{Archive, TooLong};
use self::manifest::Manifest;
use crate::domain::settings::{Bounds, Settings};

/// Everything a release takes from its bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) plan: BuildPlan,
    pub(crate) settings: Settings,
    pub(crate) app_json: Option<AppJson>,
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error("app.json, {0}")]
    AppJson(json::Error),
    #[error("{file} is larger than {limit} bytes")]
    ManifestTooLarge { file: &'static str, limit: u64 },
    #[error("the bundle holds {0}")]
    Dockerfile(String),
    #[error(transparent)]
    Detect(#[from] detect::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
}

/// Checks an archive and finds out what it holds.
pub(crate) fn inspect<R: Read + Seek>(
    reader: R,
    limits: &archive::Limits,
    bounds: &Bounds,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Bundle, Error> {
    let mut archive = archive::check(reader, limits, is_cancelled)?;
    let root = root_of(&archive);
    let mut files = Below { archive: &mut archive, root, variables: BTreeSet::new() };
    if let Some(path) = files.dockerfile() {
        return Err(Error::Dockerfile(path));
    }
    let Manifest { settings, model } = match files.bounded("avishkar.toml", manifest::LARGEST)? {
        Some(bytes) => manifest::read(&bytes, bounds)?,
        None => Manifest { settings: Settings::new(bounds), model: None },
    };
    files.variables = settings.environment.keys().cloned().collect();
    let app_json = match files.bounded("app.json", app_json::LARGEST)? {
        Some(bytes) => Some(AppJson::read(&bytes).map_err(Error::AppJson)?),
        None => None,
    };
    let mut plan = match &model {
        Some(model) => model::plan(&mut files, model, settings.limits.memory_bytes)?,
        None => detect::plan(&mut files)?,
    };
    plan.root.clone_from(&files.root);
    Ok(Bundle { plan, settings, app_json })
}

/// The folder that holds the app: zips are often made of one folder. Without slash; empty for the top.
fn root_of<R: Read + Seek>(archive: &Archive<R>) -> String {
    let mut tops = archive
        .files()
        .filter(|path| !is_litter(path))
        .map(|path| path.split_once('/').map_or("", |(folder, _)| folder));
    let first = tops.next().unwrap_or_default();
    if tops.all(|top| top == first) { first.to_owned() } else { String::new() }
}

/// What macOS adds to every zip.
fn is_litter(path: &str) -> bool {
    path.starts_with("__MACOSX/") || path == ".DS_Store"
}

/// The files below a folder of an archive.
struct Below<'a, R> {
    archive: &'a mut Archive<R>,
    root: String,
    /// Those that the app sets itself.
    variables: BTreeSet<String>,
}

impl<R: Read + Seek> Below<'_, R> {
    fn full(&self, path: &str) -> String {
        if self.root.is_empty() { path.to_owned() } else { format!("{}/{path}", self.root) }
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.archive.files().filter_map(|path| match self.root.as_str() {
            "" => Some(path),
            root => path.strip_prefix(root)?.strip_prefix('/'),
        })
    }

    /// The platform writes the Dockerfile itself: one of the app's own would decide what runs as root.
    fn dockerfile(&self) -> Option<String> {
        let is_one = |path: &str| {
            let lower = path.to_ascii_lowercase();
            lower == "dockerfile" || lower == "containerfile"
        };
        self.paths().find(|path| is_one(path)).map(str::to_owned)
    }

    fn bounded(&mut self, file: &'static str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.full(file);
        self.archive.read(&path, limit).map_err(|TooLong| Error::ManifestTooLarge { file, limit })
    }
}

impl<R: Read + Seek> detect::Root for Below<'_, R> {
    fn has(&self, path: &str) -> bool {
        let path = self.full(path);
        self.archive.has(&path)
    }

    fn size(&mut self, path: &str) -> Option<u64> {
        let path = self.full(path);
        self.archive.size(&path)
    }

    fn content(&mut self, path: &str) -> Option<Vec<u8>> {
        let path = self.full(path);
        self.archive.read(&path, detect::LARGEST).ok().flatten()
    }

    /// Commands are made when the image is built, from what all its replicas share.
    fn has_variable(&self, name: &str) -> bool {
        matches!(name, "PORT" | "AVISHKAR_APP" | "AVISHKAR_RELEASE")
            || self.variables.contains(name)
    }

    fn folders(&self) -> BTreeSet<String> {
        self.paths().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests;
