//! Where a platform can be read without asking it: its machines, the parts on them, its records and its bus.

use crate::docker::docker;

/// A machine, or a part on one, and how a command is run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// Where others reach it.
    pub address: String,
    /// What Docker is told in front of the command.
    exec: Vec<String>,
}

/// What is asked to know what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `host:port` of each `ZooKeeper`, separated by commas.
    pub zookeeper: String,
    /// The same of each broker.
    pub kafka: String,
    pub nodes: Vec<Place>,
    pub edges: Vec<Place>,
    pub app_managers: Vec<Place>,
}

impl Place {
    /// A container of this computer's engine.
    pub fn container(name: &str, address: &str, id: &str) -> Self {
        let exec = ["exec", id].map(str::to_owned).to_vec();
        Place { name: name.to_owned(), address: address.to_owned(), exec }
    }

    /// A container of its own engine.
    #[must_use]
    pub fn within(&self, id: &str) -> Self {
        let mut exec = self.exec.clone();
        exec.extend(["docker", "exec", id].map(str::to_owned));
        Place { exec, ..self.clone() }
    }

    /// Runs a command there, by an argument vector.
    pub async fn exec(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all: Vec<&str> = self.exec.iter().map(String::as_str).collect();
        all.extend(arguments);
        docker(&all).await
    }
}
