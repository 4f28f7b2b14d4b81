//! What is looked at.

use std::fmt;

use common::message::LifecycleCommand;
use common::name::{LegacyName, NodeName};
use serde::{Deserialize, Serialize};

/// The kinds of targets, the ones that matter most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Service,
    Node,
    App,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Service, Kind::Node, Kind::App];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Node => "node",
            Kind::App => "app",
        }
    }

    /// All of the kind.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Kind::Service => "services",
            Kind::Node => "nodes",
            Kind::App => "apps",
        }
    }
}

/// One target. The order is the order in which they are served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Target {
    /// All targets of a kind together: down while too many of them look down at once.
    Fleet {
        of: Kind,
    },
    /// An entry of the registry: `/services/<name>/<instance>`.
    Service {
        name: LegacyName,
        instance: LegacyName,
    },
    Node {
        name: NodeName,
    },
    App {
        name: LegacyName,
    },
    /// An app of kind model: looked at as one, and restarted as what it is.
    Model {
        name: LegacyName,
    },
}

impl Target {
    /// None for all of a kind together.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Target::Fleet { .. } => None,
            Target::Service { .. } => Some(Kind::Service),
            Target::Node { .. } => Some(Kind::Node),
            Target::App { .. } | Target::Model { .. } => Some(Kind::App),
        }
    }

    /// The kind as alerts and answers carry it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Target::Model { .. } => "model",
            Target::Fleet { .. }
            | Target::Service { .. }
            | Target::Node { .. }
            | Target::App { .. } => self.kind().map_or("fleet", Kind::as_str),
        }
    }

    /// The name as alerts and answers carry it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Target::Fleet { of } => of.plural(),
            Target::Service { name, .. } | Target::App { name } | Target::Model { name } => {
                name.as_str()
            }
            Target::Node { name } => name.as_str(),
        }
    }

    /// Which of several instances of a service it is.
    pub(crate) fn instance(&self) -> Option<&str> {
        match self {
            Target::Service { instance, .. } => Some(instance.as_str()),
            Target::Fleet { .. }
            | Target::Node { .. }
            | Target::App { .. }
            | Target::Model { .. } => None,
        }
    }

    /// The name of its record.
    pub(crate) fn key(&self) -> String {
        match self.instance() {
            Some(instance) => format!("{}.{}.{instance}", self.kind_name(), self.name()),
            None => format!("{}.{}", self.kind_name(), self.name()),
        }
    }

    /// What asks for its restart; nothing restarts a whole kind.
    pub(crate) fn restart(&self) -> Option<LifecycleCommand> {
        match self {
            Target::Fleet { .. } => None,
            Target::Service { name, .. } => {
                Some(LifecycleCommand::RestartService { service: name.to_string() })
            }
            Target::Node { name } => Some(LifecycleCommand::RestartNode { node: name.clone() }),
            Target::App { name } => Some(LifecycleCommand::RestartApp { instance: name.clone() }),
            Target::Model { name } => {
                Some(LifecycleCommand::RestartModel { instance: name.clone() })
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Fleet { of } => write!(f, "the {}", of.plural()),
            Target::Service { name, instance } if instance.as_str() != FIRST => {
                write!(f, "service {name} ({instance})")
            }
            Target::Service { .. }
            | Target::Node { .. }
            | Target::App { .. }
            | Target::Model { .. } => {
                write!(f, "{} {}", self.kind_name(), self.name())
            }
        }
    }
}

/// What the registry calls the first, and mostly only, instance of a service.
const FIRST: &str = "instance1";
