//! Apps and their releases: `apps/<app>` and `apps/<app>/releases/<n>`, written by the app manager.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ImageRef};
use crate::id::ReleaseNumber;
use crate::name::{AppName, UserName};
use crate::port::container::Limits;
use crate::port::edge::EdgeOptions;
use crate::record::scale::{Hours, Scaling};

/// An app: what releases are made of and instances are deployed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub schema: u32,
    pub name: AppName,
    pub owner: UserName,
    pub description: String,
    pub created_at: Timestamp,
    /// The newest release; 0 before the first.
    pub newest: ReleaseNumber,
    /// Document 001's number of a base app, from 1.
    pub base_app_id: u64,
    /// The keys of its `app.json`, where the bundle has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<serde_json::Value>,
}

/// A release: immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub schema: u32,
    pub app: AppName,
    pub number: ReleaseNumber,
    pub created_at: Timestamp,
    pub source: Source,
    /// The port the app listens on; told to it as `PORT`.
    pub port: u16,
    pub health_path: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub limits: Limits,
    pub read_only: bool,
    /// How the number of its replicas follows the load; without, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// Its bounds at some hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Hours>,
    /// Where its replicas go; without, as the platform has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Strategy>,
    /// What it asks of the edge.
    #[serde(default, skip_serializing_if = "EdgeOptions::is_plain")]
    pub edge: EdgeOptions,
}

impl Release {
    /// What it asks of the edge, its rest included: whoever may have no replicas has its requests held.
    pub fn edge_options(&self) -> EdgeOptions {
        let rests = self.scaling.is_some_and(|scaling| scaling.min == 0);
        EdgeOptions { held: rests, ..self.edge.clone() }
    }

    /// Whether it is of kind model.
    pub fn is_model(&self) -> bool {
        let Source::Bundle { plan, .. } = &self.source else { return false };
        matches!(plan.runtime, Runtime::Model { .. })
    }
}

/// Where replicas of one instance go, of the nodes that take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// To the node that has the fewest of them.
    Spread,
    /// To the node that has most of them already; where it is full, to the one that has most of them beside it.
    SameNode,
}

/// Where replicas of apps go that do not say it: written by the node manager, which places them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsualPlacement {
    pub schema: u32,
    pub strategy: Strategy,
}

/// What a release is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// An image that exists, by digest.
    Image { image: ImageRef },
    /// A stored zip and what was detected in it; the image is built from both.
    Bundle { bundle: Digest, plan: BuildPlan },
}

/// What was detected in a bundle: enough to generate its `Dockerfile`, and nothing free-form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPlan {
    pub runtime: Runtime,
    /// The path of the app inside the bundle: zips often hold one folder. Empty for the top.
    #[serde(default)]
    pub root: String,
    /// The process to start, as an argument vector; `$PORT` and other `$NAME` words are replaced
    /// by what the release says when its image is built. Empty for static sites.
    pub command: Vec<String>,
}

/// The kind of an app, and what its dependencies are declared in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Runtime {
    Python {
        dependencies: PythonDependencies,
    },
    Node {
        lock_file: bool,
    },
    Static,
    /// A file and the contract in Python that loads it and asks it, served by a program of the platform.
    Model {
        dependencies: PythonDependencies,
    },
}

/// Where a Python app declares what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PythonDependencies {
    /// `requirements.txt`.
    Requirements,
    /// `pyproject.toml`.
    Project,
    None,
}
