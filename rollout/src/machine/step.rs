//! [`Step`]: one thing to be done to a machine, and the sentence that says it.

use std::fmt;

use common::name::NodeName;
use common::port::host::HostKey;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub machine: NodeName,
    pub action: Action,
    /// False where nobody could look into the machine yet: the step does nothing if it is not needed.
    pub certain: bool,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Has the machine made, by the backend of this kind.
    Make(&'static str),
    Start,
    /// Writes down the host key that the machine shows.
    Pin(HostKey),
    /// Lets the platform's own key in, for this user.
    Authorize(String),
    InstallEngine,
    StartEngine,
    MakeFolders,
    /// Removes archives that a former copy left.
    Sweep,
    BringBuildEnv,
    Certify,
    /// Copies so many images and has the engine take them.
    BringImages(usize),
    /// Runs the agent in place of any other.
    RunAgent,
    AwaitAgent,
    RemoveAgent,
    /// Removes every container and network of the platform.
    RemoveContainers,
    RemoveFolders,
    /// Has the machine removed, by the backend of this kind.
    Delete(&'static str),
}

impl Action {
    /// Whether more of the machine can be seen afterwards.
    pub(super) fn reveals(&self) -> bool {
        match self {
            Action::Make(_)
            | Action::Start
            | Action::Pin(_)
            | Action::Authorize(_)
            | Action::StartEngine => true,
            Action::InstallEngine
            | Action::MakeFolders
            | Action::Sweep
            | Action::BringBuildEnv
            | Action::Certify
            | Action::BringImages(_)
            | Action::RunAgent
            | Action::AwaitAgent
            | Action::RemoveAgent
            | Action::RemoveContainers
            | Action::RemoveFolders
            | Action::Delete(_) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.machine;
        match &self.action {
            Action::Make(kind) => write!(f, "make {name}, a machine that is {kind}"),
            Action::Start => write!(f, "start {name}"),
            Action::Pin(key) => write!(f, "pin the host key of {name}: {key}"),
            Action::Authorize(user) => write!(f, "let the platform's key in on {name} as {user}"),
            Action::InstallEngine => write!(f, "install Docker on {name}"),
            Action::StartEngine => write!(f, "start Docker on {name}"),
            Action::MakeFolders => write!(f, "make the platform's folders on {name}"),
            Action::Sweep => write!(f, "remove what an interrupted copy left on {name}"),
            Action::BringBuildEnv => write!(f, "tell {name} how packages are reached"),
            Action::Certify => write!(f, "give the agent of {name} its certificate"),
            Action::BringImages(1) => write!(f, "bring the platform's image to {name}"),
            Action::BringImages(count) => write!(f, "bring {count} images to {name}"),
            Action::RunAgent => write!(f, "run the agent on {name}"),
            Action::AwaitAgent => write!(f, "wait until the agent of {name} answers"),
            Action::RemoveAgent => write!(f, "remove the agent from {name}"),
            Action::RemoveContainers => {
                write!(f, "remove all of the platform's containers from {name}")
            }
            Action::RemoveFolders => write!(f, "remove the platform's folders from {name}"),
            Action::Delete(kind) => write!(f, "delete {name}, a machine that is {kind}"),
        }?;
        if self.certain { Ok(()) } else { f.write_str(", where it is missing") }
    }
}
