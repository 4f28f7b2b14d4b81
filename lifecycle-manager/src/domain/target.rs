//! What can be restarted: four families, each with records of its own.

use std::fmt;

use common::name::{LegacyName, NodeName};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::brake::Kind;

/// One thing that can be restarted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "family", content = "name")]
pub(crate) enum Target {
    Service(ServiceName),
    Node(NodeName),
    App(LegacyName),
    /// An instance of an app of kind model.
    Model(LegacyName),
}

/// The families, as their records' folders are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Services,
    Nodes,
    Apps,
    Models,
}

impl Family {
    pub(crate) const ALL: [Family; 4] =
        [Family::Services, Family::Nodes, Family::Apps, Family::Models];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Family::Services => "services",
            Family::Nodes => "nodes",
            Family::Apps => "apps",
            Family::Models => "models",
        }
    }

    /// The target of this name, where there can be one.
    pub(crate) fn target(self, name: &str) -> Option<Target> {
        match self {
            Family::Services => service(name).map(Target::Service),
            Family::Nodes => name.parse().ok().map(Target::Node),
            Family::Apps => name.parse().ok().map(Target::App),
            Family::Models => name.parse().ok().map(Target::Model),
        }
    }
}

/// A service by document 001's name or by ours. Agents are no service that anybody restarts.
pub(crate) fn service(name: &str) -> Option<ServiceName> {
    let named = |service: &ServiceName| service.registry_name() == name || service.as_str() == name;
    ServiceName::ALL.into_iter().find(named).filter(|service| *service != ServiceName::NodeAgent)
}

impl Target {
    pub(crate) fn family(&self) -> Family {
        match self {
            Target::Service(_) => Family::Services,
            Target::Node(_) => Family::Nodes,
            Target::App(_) => Family::Apps,
            Target::Model(_) => Family::Models,
        }
    }

    /// Its name in its family.
    pub(crate) fn name(&self) -> &str {
        match self {
            Target::Service(service) => service.as_str(),
            Target::Node(node) => node.as_str(),
            Target::App(instance) | Target::Model(instance) => instance.as_str(),
        }
    }

    /// Which brake holds it back; apps have none here, as the deployment manager never stops one before the next
    /// is ready.
    pub(crate) fn brake(&self) -> Option<Kind> {
        match self {
            Target::Service(_) => Some(Kind::Services),
            Target::Node(_) => Some(Kind::Machines),
            Target::App(_) | Target::Model(_) => None,
        }
    }

    /// The verb of the request.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Target::Service(_) => "restart service",
            Target::Node(_) => "restart node",
            Target::App(_) => "restart app",
            Target::Model(_) => "restart model",
        }
    }

    /// The kind under which a request for it is accepted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Target::Service(_) => "restart-service",
            Target::Node(_) => "restart-node",
            Target::App(_) => "restart-app",
            Target::Model(_) => "restart-model",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family().as_str(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_document_001s_name_and_ours() {
        let target = Family::Services.target("load_balancer").unwrap();
        assert_eq!(target, Target::Service(ServiceName::LoadBalancer));
        assert_eq!(Family::Services.target("load-balancer"), Some(target.clone()));
        assert_eq!(target.to_string(), "services/load-balancer");
        for name in ["node_agent", "node-agent", "kafka", ""] {
            assert_eq!(Family::Services.target(name), None, "{name}");
        }
    }
}
