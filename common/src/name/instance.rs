//! Names of instances, and of the containers that serve them.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{AppName, Error, HostLabel, text_type};
use crate::id::SlotNumber;

const RULE: &str = "an instance is an app's name, or an app's name, _ and a UUID";
const CONTAINER_RULE: &str = "a container is called <instance>_instance_<number>";

/// The name of one deployed instance of an app: `<app>` or `<app>_<uuid>`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName(String);

text_type!(InstanceName);

impl InstanceName {
    /// The instance that document 001's paths make: the app's name and a UUID of its own.
    pub fn with_uuid(app: &AppName, uuid: Uuid) -> Self {
        InstanceName(format!("{app}_{}", uuid.hyphenated()))
    }

    /// The first label of this instance's host name: `_` becomes `-`, at most 63 bytes.
    pub fn host_label(&self) -> HostLabel {
        HostLabel::of(&self.0)
    }
}

impl From<AppName> for InstanceName {
    fn from(app: AppName) -> Self {
        InstanceName(app.into())
    }
}

impl FromStr for InstanceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once('_') {
            None => Ok(text.parse::<AppName>()?.into()),
            Some((app, uuid)) => {
                let app: AppName = app.parse()?;
                let parsed = Uuid::parse_str(uuid).map_err(|_| Error::Invalid { rule: RULE })?;
                let instance = InstanceName::with_uuid(&app, parsed);
                if instance.0 == text { Ok(instance) } else { Err(Error::Invalid { rule: RULE }) }
            }
        }
    }
}

/// The name of one replica's container: `<instance>_instance_<slot>`, as document 001 numbers them.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

text_type!(ContainerName);

impl ContainerName {
    pub fn new(instance: &InstanceName, slot: SlotNumber) -> Self {
        ContainerName(format!("{instance}_instance_{slot}"))
    }
}

impl FromStr for ContainerName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = Error::Invalid { rule: CONTAINER_RULE };
        let Some((instance, slot)) = text.rsplit_once("_instance_") else { return Err(invalid) };
        let instance: InstanceName = instance.parse()?;
        let Ok(slot) = slot.parse::<u32>() else { return Err(invalid) };
        let name = ContainerName::new(&instance, SlotNumber(slot));
        if name.0 == text { Ok(name) } else { Err(invalid) }
    }
}

/// What is shown where an instance's app is wanted: the part before the UUID.
impl InstanceName {
    pub fn app_part(&self) -> impl fmt::Display + '_ {
        self.0.split_once('_').map_or(self.0.as_str(), |(app, _)| app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_an_app_or_an_app_with_a_uuid() {
        for text in ["shop", "shop_6ba7b810-9dad-11d1-80b4-00c04fd430c8"] {
            assert_eq!(text.parse::<InstanceName>().map(String::from).as_deref(), Ok(text));
        }
        for text in
            ["shop_", "shop_1", "shop_6BA7B810-9dad-11d1-80b4-00c04fd430c8", "_x", "shop_a_b"]
        {
            assert!(text.parse::<InstanceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_containers_name_is_read_back() {
        let instance: InstanceName = "shop".parse().unwrap();
        let name = ContainerName::new(&instance, SlotNumber(3));
        assert_eq!(name.as_str(), "shop_instance_3");
        assert_eq!(name.as_str().parse::<ContainerName>(), Ok(name));
        assert!("shop_instance_03".parse::<ContainerName>().is_err());
    }
}
