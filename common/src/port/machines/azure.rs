//! A machine of Azure, as it is asked for.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A virtual machine of Azure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureShape {
    /// What Azure calls it; [`AzureShape::SIZE`] if nothing is said.
    #[serde(default = "AzureShape::default_size")]
    pub size: String,
    #[serde(default)]
    pub image: AzureImage,
    /// The size of its disk in GiB; without one, the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u32>,
    /// Its fixed address in the virtual network; without one, a free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// What is let in, beside signing in. They may change while the machine exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opening>,
}

impl AzureShape {
    /// One processor and 3.5 GiB, as document 000 has it. Of today's sizes `Standard_D2s_v5` is the nearest.
    pub const SIZE: &str = "Standard_DS1_v2";

    fn default_size() -> String {
        AzureShape::SIZE.to_owned()
    }
}

impl Default for AzureShape {
    fn default() -> Self {
        AzureShape {
            size: AzureShape::default_size(),
            image: AzureImage::default(),
            disk_gib: None,
            address: None,
            opened: Vec::new(),
        }
    }
}

/// An image of Azure's marketplace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureImage {
    pub publisher: String,
    pub offer: String,
    pub sku: String,
    pub version: String,
}

impl Default for AzureImage {
    /// Canonical's Ubuntu 22.04.
    fn default() -> Self {
        AzureImage {
            publisher: "Canonical".to_owned(),
            offer: "0001-com-ubuntu-server-jammy".to_owned(),
            sku: "22_04-lts-gen2".to_owned(),
            version: "latest".to_owned(),
        }
    }
}

/// TCP ports that a machine lets in, and from where. Port 22 is no such port: it is open to operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    pub first: u16,
    /// At least `first`.
    pub last: u16,
    pub from: Origin,
}

/// Who comes in through an [`Opening`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The machines of the same virtual network.
    Network,
    /// The addresses that the backend knows as its operators'.
    Operators,
    Anywhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_needs_to_be_said_and_nothing_unknown_may_be() {
        assert_eq!(serde_json::from_str::<AzureShape>("{}").unwrap(), AzureShape::default());
        let opened = r#"{"opened":[{"first":80,"last":80,"from":"anywhere"}]}"#;
        let shape: AzureShape = serde_json::from_str(opened).unwrap();
        assert_eq!(shape.opened, [Opening { first: 80, last: 80, from: Origin::Anywhere }]);
        assert!(serde_json::from_str::<AzureShape>(r#"{"password":"x"}"#).is_err());
    }
}
