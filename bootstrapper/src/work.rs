//! [`Work`]: what everything that is done has in common: the description, what is known, and who is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use common::digest::Digest;
use common::name::NodeName;
use rollout::machine::{Goal, Trust};
use rollout::platform::{Component, Image, PlannedMachine, Platform};
use tokio::time::Instant;

use crate::description::{Description, key_of};
use crate::ports::Ports;
use crate::report::{Event, Report, began, ended};
use crate::state::{Book, NotABook, Phase, State};
use crate::trouble::{Trouble, whole};
use crate::ways::{Reached, Ways};

const STATE_UNUSABLE: &str = "STATE_UNUSABLE";

/// What is being done to a platform.
pub(crate) struct Work<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) description: &'a Description,
    report: &'a dyn Report,
    book: &'a dyn Book,
    state: Mutex<State>,
    ways: Arc<Ways>,
    build_env: Option<Bytes>,
}

impl<'a> Work<'a> {
    /// Takes up what is known, and keeps nothing yet.
    pub(crate) fn begin(
        ports: &'a Ports,
        description: &'a Description,
        book: &'a dyn Book,
        report: &'a dyn Report,
    ) -> Result<Self, Trouble> {
        let known = book.load().map_err(|err| unusable(&err))?;
        let name = &description.platform.name;
        let state =
            known.unwrap_or_else(|| State::new(name.clone(), ports.entropy.uuid().to_string()));
        let build_env = build_env(ports, description)?;
        let ways = Arc::new(Ways::of(&ports.hosts));
        Ok(Work { ports, description, report, book, state: Mutex::new(state), ways, build_env })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known(&self) -> State {
        self.state().clone()
    }

    /// Changes what is known, and keeps it.
    pub(crate) fn learn<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, Trouble> {
        let mut state = self.state();
        let before = state.clone();
        let changed = change(&mut state);
        if *state != before {
            self.book.save(&state).map_err(|err| unusable(&err))?;
        }
        Ok(changed)
    }

    /// This computer and its state file, as nobody else has them who copied the file: whoever has both may take up what
    /// another process of his left.
    pub(crate) fn computer(&self) -> String {
        let read = |file: &str| {
            let text = self.ports.files.read(Path::new(file)).unwrap_or_default();
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        let mut machine = read("/etc/machine-id");
        if machine.is_empty() {
            machine = read("/proc/sys/kernel/random/boot_id");
        }
        let host = read("/proc/sys/kernel/hostname");
        let known = self.known().computer;
        let file = self.description.state_file.display();
        Digest::of(format!("{known}\n{machine}\n{host}\n{file}").as_bytes()).to_string()
    }

    pub(crate) fn enter(&self, phase: Phase) -> Result<(), Trouble> {
        let name = self.description.platform.name.clone();
        self.learn(|state| {
            state.phase = phase;
            state.name = name;
        })
    }

    pub(crate) fn erase(&self) -> Result<(), Trouble> {
        self.book.erase().map_err(|err| unusable(&err))
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.report.tell(event);
    }

    pub(crate) fn say(&self, sentence: impl Into<String>) {
        self.tell(&Event::Says { sentence: sentence.into() });
    }

    /// Does a step, and tells of its beginning and its end.
    pub(crate) async fn step<T, E>(
        &self,
        machine: Option<&NodeName>,
        sentence: &str,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble>
    where
        E: Into<Trouble>,
    {
        let begin = Instant::now();
        self.tell(&began(machine, sentence));
        match doing.await {
            Ok(done) => {
                self.tell(&ended(machine, sentence, begin.elapsed()));
                Ok(done)
            }
            Err(err) => Err(err.into()),
        }
    }

    /// The description as far as it is known now, with its images.
    pub(crate) fn platform(&self, images: &BTreeMap<Component, Image>) -> Platform {
        let mut platform = self.known().complete(&self.description.platform);
        platform.images.clone_from(images);
        platform
    }

    /// The images that the description names, by what they are here and what the registry called them last.
    pub(crate) async fn images(&self) -> Result<BTreeMap<Component, Image>, Trouble> {
        let known = self.known().images;
        let mut images = BTreeMap::new();
        for (&component, name) in &self.description.images.names {
            let found = self.ports.images.find(name).await;
            let id = found.map_err(|err| missing(component, name, &whole(&err)))?;
            let id = id.ok_or_else(|| missing(component, name, "it is not there"))?;
            let before = known.get(&component).filter(|image| image.id == id);
            let named = before.and_then(|image| image.named.clone());
            images.insert(component, Image { id, named });
        }
        let id_of = |component| images.get(&component).map(|image: &Image| &image.id);
        if id_of(Component::Base) == id_of(Component::Platform) {
            images.remove(&Component::Base);
        }
        Ok(images)
    }

    /// The description itself, with what its images are here: what tells one description from another.
    pub(crate) fn described(&self, platform: &Platform) -> Platform {
        Platform { images: platform.images.clone(), ..self.description.platform.clone() }.on(None)
    }

    /// What a machine should become.
    pub(crate) fn goal(&self, platform: &Platform, name: &NodeName) -> Result<Goal, Trouble> {
        let key = self.description.key_file.clone();
        Goal::of(platform, name, key, self.build_env.clone()).map_err(Trouble::from)
    }

    /// What a machine was, whatever it was to become.
    pub(crate) fn former(&self, machine: &PlannedMachine) -> Goal {
        let nothing = Digest::of(b"");
        Goal {
            platform: self.description.platform.name.clone(),
            machine: machine.clone(),
            program: nothing,
            images: Vec::new(),
            denied_networks: Vec::new(),
            key: self.description.key_file.clone(),
            ports: Vec::new(),
            openings: Vec::new(),
            build_env: None,
        }
    }

    /// The agents of a platform's nodes, as far as it is known where the nodes are.
    pub(crate) fn agents(&self, platform: &Platform, trust: &Trust) -> Reached {
        Reached::of(platform, &trust.parts, &self.ways, &self.description.key_file)
    }

    pub(crate) fn machine_ports(&self, trust: Option<&Trust>) -> rollout::machine::Ports {
        self.ports.of_machines(trust.cloned())
    }
}

fn missing(component: Component, name: &str, why: &str) -> Trouble {
    let key = key_of(component);
    Trouble::here(
        &format!("find the image images.{key}"),
        rollout::Code::ImageUnavailable.as_str(),
        format!("{name}: {why}"),
        "make the platform's images first (`make images`), or name others in the file",
    )
}

fn build_env(ports: &Ports, description: &Description) -> Result<Option<Bytes>, Trouble> {
    let Some(file) = &description.build_env else { return Ok(None) };
    let read = ports.files.read(file).map(|bytes| Some(bytes.into()));
    read.map_err(|err| {
        let code = rollout::Code::StepFailed.as_str();
        let hint = "see whether you may read the file of build_env";
        Trouble::here("read how packages are reached", code, err.to_string(), hint)
    })
}

fn unusable(err: &NotABook) -> Trouble {
    let hint = match err {
        NotABook::InUse { .. } => "wait for the other one, or end it",
        NotABook::Io { .. } => "see whether you may write the folder of the file",
        NotABook::Damaged { .. } => {
            "put it aside: what stands on machines is found again, but for the pinned host keys"
        }
        NotABook::Newer { .. } => "use the newer version",
    };
    Trouble::here("keep what is known of the platform", STATE_UNUSABLE, whole(err), hint)
}

impl From<NotABook> for Trouble {
    fn from(err: NotABook) -> Self {
        unusable(&err)
    }
}
