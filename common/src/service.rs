//! The platform's services: their names in every spelling, ports and log files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::topic::Topic;

/// A service of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    AppManager,
    DeploymentManager,
    NodeManager,
    LoadBalancer,
    Monitoring,
    LifecycleManager,
    PlatformInitializer,
    NodeAgent,
}

impl ServiceName {
    pub const ALL: [ServiceName; 8] = [
        ServiceName::AppManager,
        ServiceName::DeploymentManager,
        ServiceName::NodeManager,
        ServiceName::LoadBalancer,
        ServiceName::Monitoring,
        ServiceName::LifecycleManager,
        ServiceName::PlatformInitializer,
        ServiceName::NodeAgent,
    ];

    /// The name on the command line, in certificates and in our own records.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceName::AppManager => "app-manager",
            ServiceName::DeploymentManager => "deployment-manager",
            ServiceName::NodeManager => "node-manager",
            ServiceName::LoadBalancer => "load-balancer",
            ServiceName::Monitoring => "monitoring",
            ServiceName::LifecycleManager => "lifecycle-manager",
            ServiceName::PlatformInitializer => "platform-initializer",
            ServiceName::NodeAgent => "node-agent",
        }
    }

    /// Document 001's name, used in its registry: `/services/<name>/instance1`.
    pub fn registry_name(self) -> &'static str {
        match self {
            ServiceName::AppManager => "application_manager",
            ServiceName::DeploymentManager => "deployment_manager",
            ServiceName::NodeManager => "node_manager",
            ServiceName::LoadBalancer => "load_balancer",
            ServiceName::Monitoring => "monitoring",
            ServiceName::LifecycleManager => "lifecycle_manager",
            ServiceName::PlatformInitializer => "platform_initializer",
            ServiceName::NodeAgent => "node_agent",
        }
    }

    /// How `/home` greets: document 001's module names.
    pub fn title(self) -> &'static str {
        match self {
            ServiceName::AppManager => "ApplicationManager",
            ServiceName::DeploymentManager => "DeploymentManager",
            ServiceName::NodeManager => "NodeManager",
            ServiceName::LoadBalancer => "LoadBalancer",
            ServiceName::Monitoring => "Monitoring",
            ServiceName::LifecycleManager => "LifecycleManager",
            ServiceName::PlatformInitializer => "Platform Initializer",
            ServiceName::NodeAgent => "NodeAgent",
        }
    }

    /// The name of its log file under `/logs`, as document 001 has it.
    pub fn log_file(self) -> &'static str {
        match self {
            ServiceName::AppManager => "appmgr_logs.log",
            ServiceName::DeploymentManager => "depmgr_logs.log",
            ServiceName::NodeManager => "nodemgr_logs.log",
            ServiceName::LoadBalancer => "lb_logs.log",
            ServiceName::Monitoring => "fault_logs.log",
            ServiceName::LifecycleManager => "serverlcmgr_logs.log",
            ServiceName::PlatformInitializer => "initializer_logs.log",
            ServiceName::NodeAgent => "nodeagent_logs.log",
        }
    }

    /// How many lines `/get_logs` returns: 10 everywhere, 100 at the load balancer.
    pub fn log_lines(self) -> usize {
        match self {
            ServiceName::LoadBalancer => 100,
            ServiceName::AppManager
            | ServiceName::DeploymentManager
            | ServiceName::NodeManager
            | ServiceName::Monitoring
            | ServiceName::LifecycleManager
            | ServiceName::PlatformInitializer
            | ServiceName::NodeAgent => 10,
        }
    }

    /// Whether this service reads a topic: the app manager is document 001's scheduler, too.
    pub fn reads(self, topic: Topic) -> bool {
        let schedules = self == ServiceName::AppManager && topic == Topic::Scheduler;
        schedules || self.topic() == Some(topic)
    }

    /// The topic this service reads first of all, if it reads one.
    pub fn topic(self) -> Option<Topic> {
        match self {
            ServiceName::AppManager => Some(Topic::FirstTopic),
            ServiceName::DeploymentManager => Some(Topic::DeploymentManager),
            ServiceName::NodeManager => Some(Topic::NodeManager),
            ServiceName::LoadBalancer => Some(Topic::LoadBalancer),
            ServiceName::LifecycleManager => Some(Topic::LifecycleManager),
            ServiceName::PlatformInitializer => Some(Topic::Bootstrapper),
            ServiceName::Monitoring | ServiceName::NodeAgent => None,
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no service of the platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service of the platform")]
pub struct UnknownService(pub String);

impl FromStr for ServiceName {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        ServiceName::ALL
            .into_iter()
            .find(|service| service.as_str() == text)
            .ok_or_else(|| UnknownService(text.to_owned()))
    }
}
