//! What the simulated engine holds, and the rules by which it changes.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::PartName;
use common::port::container::ContainerState;
use common::port::containers::Error;
use common::port::part::{Part, PartImage, PartSpec};
use common::port::part_containers::PartSite;
use common::port::share::Code;
use jiff::Timestamp;

use crate::containers::Health;

/// How many lines of output are kept of each container.
const LINES: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Engine {
    pub(super) health: Health,
    pub(super) ids: BTreeSet<Digest>,
    pub(super) named: BTreeSet<ImageRef>,
    /// By the digests of what they were built of.
    pub(super) built: BTreeSet<Digest>,
    pub(super) builds: u32,
    /// What becomes of pushes, where they do not just succeed.
    pub(super) pushes: Vec<(PartImage, Pushing)>,
    pub(super) kept: BTreeMap<PartName, Kept>,
    pub(super) foreign_names: BTreeSet<PartName>,
    pub(super) refusals: BTreeMap<PartName, String>,
    /// What does not end the next time.
    pub(super) unended: BTreeSet<PartName>,
    pub(super) starts: BTreeMap<PartName, u32>,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) part: Part,
    pub(super) site: PartSite,
    pub(super) output: Vec<String>,
}

/// What becomes of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushing {
    Works,
    Fails,
    /// The image arrives, under this digest and no other.
    PacksAnew(Digest),
}

/// Whether a call changed what runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Started,
    Nothing,
}

impl Engine {
    pub(super) fn place(&mut self, image: &PartImage) {
        match image {
            PartImage::Id(id) => self.ids.insert(id.clone()),
            PartImage::Named(named) => self.named.insert(named.clone()),
            PartImage::Built(code) => self.built.insert(code.digest.clone()),
        };
    }

    pub(super) fn lose(&mut self, image: &PartImage) {
        match image {
            PartImage::Id(id) => self.ids.remove(id),
            PartImage::Named(named) => self.named.remove(named),
            PartImage::Built(code) => self.built.remove(&code.digest),
        };
    }

    pub(super) fn must_have(&self, image: &PartImage) -> Result<(), Error> {
        let (is_there, text) = match image {
            PartImage::Id(id) => (self.ids.contains(id), id.to_string()),
            PartImage::Named(named) => (self.named.contains(named), named.to_string()),
            PartImage::Built(code) => (self.built.contains(&code.digest), code.to_string()),
        };
        let missing = || Error::ImageUnavailable { image: text, source: "no such image".into() };
        is_there.then_some(()).ok_or_else(missing)
    }

    /// The digest that the registry gives an image, where it is another one than it had.
    pub(super) fn pushing(&self, image: &PartImage) -> Result<Option<&Digest>, Error> {
        let of_it = self.pushes.iter().find(|(pushed, _)| pushed == image);
        match of_it.map(|(_, pushing)| pushing) {
            None | Some(Pushing::Works) => Ok(None),
            Some(Pushing::Fails) => Err(Error::Unavailable("connection reset by peer".into())),
            Some(Pushing::PacksAnew(digest)) => Ok(Some(digest)),
        }
    }

    /// Builds whatever has a `Dockerfile` without a step that fails.
    pub(super) fn build(&mut self, code: &Code, context: &[u8]) -> Result<(), Error> {
        let holds = |text: &str| context.windows(text.len()).any(|found| found == text.as_bytes());
        self.builds += 1;
        if self.health == Health::Full {
            return Err(Error::Full("no space left on device".into()));
        }
        if !holds("Dockerfile") || holds("RUN false") {
            let output = vec!["the step returned a non-zero code: 1".to_owned()];
            return Err(Error::BuildFailed { output });
        }
        self.built.insert(code.digest.clone());
        Ok(())
    }

    pub(super) fn find(&self, name: &PartName) -> Result<Option<&Kept>, Error> {
        if self.foreign_names.contains(name) {
            let why = format!("the name of {name} belongs to a container that is no part");
            return Err(Error::Refused(why));
        }
        Ok(self.kept.get(name))
    }

    pub(super) fn ensure_running(
        &mut self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
        now: Timestamp,
    ) -> Result<(Part, Effect), Error> {
        self.must_have(&spec.image)?;
        let hash = spec.hash();
        let same = self.find(&spec.name)?.filter(|kept| kept.part.spec_hash == hash);
        if let Some(kept) = same
            && is_running(&kept.part)
        {
            return Ok((kept.part.clone(), Effect::Nothing));
        }
        if same.is_none() {
            if self.health == Health::Full {
                return Err(Error::Full("no space left on device".into()));
            }
            let part = Part {
                name: spec.name.clone(),
                generation: spec.generation,
                epoch,
                spec_hash: hash,
                state: ContainerState::Created,
                healthy: None,
                apart: false,
                restarts: 0,
            };
            let kept = Kept { part, site: site.clone(), output: Vec::new() };
            self.kept.insert(spec.name.clone(), kept);
        }
        if let Some(why) = self.refusals.get(&spec.name).cloned() {
            self.kept.remove(&spec.name);
            return Err(Error::Refused(why));
        }
        *self.starts.entry(spec.name.clone()).or_default() += 1;
        let kept = self.kept.get_mut(&spec.name).expect("it was just put there");
        kept.part.state = ContainerState::Running { since: now };
        Ok((kept.part.clone(), Effect::Started))
    }

    /// Ends a running container's process; says whether it ran.
    pub(super) fn exit(&mut self, name: &PartName, end: ContainerState) -> bool {
        let Some(kept) = self.kept.get_mut(name).filter(|kept| is_running(&kept.part)) else {
            return false;
        };
        kept.part.state = end;
        true
    }

    pub(super) fn print(&mut self, name: &PartName, line: &str) {
        if let Some(kept) = self.kept.get_mut(name) {
            kept.output.push(line.to_owned());
            let surplus = kept.output.len().saturating_sub(LINES);
            kept.output.drain(..surplus);
        }
    }
}

fn is_running(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. })
}
