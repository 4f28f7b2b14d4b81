//! What an operator says of services themselves: settings of their own files, and who is told of alerts. Unlike the
//! description of the platform it may change while that runs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use common::digest::Digest;
use common::port::part::PartFile;
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

/// Where monitoring finds who is told of alerts, and what their requests are signed with.
const RECEIVERS: &str = "/etc/avishkar/receivers.toml";
const RECEIVER_SECRETS: &str = "/etc/avishkar/secrets/receivers";
/// The folder of settings that are files.
const FILES: &str = "/etc/avishkar/settings";

/// Settings of one service, by `section.key` of its own file.
pub type Settings = BTreeMap<String, Setting>;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<ServiceName, Settings>,
    /// In the order of the operator's file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<Receiver>,
    /// The image of lifecycle managers and platform initializers, where that is another version than the platform's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// As the environment has it.
    Value(String),
    /// What stands in a file: the setting is its path.
    File(String),
}

/// Who is told of alerts by a signed request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// `a-z`, `0-9` and `-`.
    pub name: String,
    /// Some hold a secret of the receiver's.
    pub url: String,
    /// What requests are signed with.
    pub secret: String,
    /// Whether it may be in a private network.
    pub internal: bool,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// By what a service runs: which receivers is all that is kept of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredService {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receivers: Option<Digest>,
}

impl ConfiguredService {
    /// Whether nothing is said of it.
    pub fn is_plain(&self) -> bool {
        *self == ConfiguredService::default()
    }
}

impl Configured {
    /// Whether nothing is said of any service.
    pub fn is_plain(&self) -> bool {
        *self == Configured::default()
    }

    pub fn settings_of(&self, service: ServiceName) -> Settings {
        self.settings.get(&service).cloned().unwrap_or_default()
    }

    /// What is said of one service. `seal` is a secret: without it nobody learns from a digest what was said.
    pub(super) fn of(&self, service: ServiceName, seal: &str) -> ConfiguredService {
        let is_told = service == ServiceName::Monitoring && !self.receivers.is_empty();
        let receivers = is_told.then(|| {
            let text = serde_json::to_string(&self.receivers).expect("receivers are text");
            Digest::of(format!("avishkar: receivers of alerts, 1\n{seal}\n{text}").as_bytes())
        });
        ConfiguredService { settings: self.settings_of(service), receivers }
    }
}

/// As variables of the environment, without what begins each.
pub(super) fn environment(settings: &Settings) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(key, setting)| {
        let value = match setting {
            Setting::Value(value) => value.clone(),
            Setting::File(_) => path_of(key),
        };
        (key.to_uppercase().replace('.', "__"), value)
    })
}

/// The files that settings are, and for monitoring who is told.
pub(super) fn files(settings: &Settings, receivers: &[Receiver]) -> Vec<PartFile> {
    let mut files: Vec<PartFile> = Vec::new();
    for (key, setting) in settings {
        if let Setting::File(content) = setting {
            files.push(PartFile { path: path_of(key), content: content.clone() });
        }
    }
    if !receivers.is_empty() {
        files.push(PartFile { path: RECEIVERS.to_owned(), content: listed(receivers) });
        files.extend(receivers.iter().map(|receiver| PartFile {
            path: secret_of(receiver),
            content: receiver.secret.clone(),
        }));
    }
    files
}

/// The arguments by which monitoring finds whom to tell.
pub(super) fn arguments(receivers: &[Receiver]) -> &'static [&'static str] {
    if receivers.is_empty() { &[] } else { &["--config", RECEIVERS] }
}

fn path_of(key: &str) -> String {
    format!("{FILES}/{key}")
}

fn secret_of(receiver: &Receiver) -> String {
    format!("{RECEIVER_SECRETS}/{}", receiver.name)
}

/// As `config/monitoring.toml` has them.
fn listed(receivers: &[Receiver]) -> String {
    let mut text = String::new();
    for receiver in receivers {
        // A string of JSON is one of TOML.
        let quoted = |text: &str| serde_json::to_string(text).expect("a text is one");
        writeln!(
            text,
            "[[alerts.webhooks]]\nname = {}\nurl = {}\nsecret_file = {}\nsecret_variable = \"\"\ninternal = {}",
            quoted(&receiver.name),
            quoted(&receiver.url),
            quoted(&secret_of(receiver)),
            receiver.internal
        )
        .expect("a text takes everything");
    }
    text
}
