//! Names, parsed once: whatever holds one of these types needs no further check.
//!
//! Rules: [`AppName`] `reliability.md` 3.1; [`InstanceName`] is an app name, optionally followed by
//! `_` and a UUID; [`LegacyName`] is what document 001's programs may have called an application.

mod app;
mod host;
mod instance;
mod label;
mod legacy;
mod node;
mod part;
mod share;
mod user;

pub use app::AppName;
pub use host::HostName;
pub use instance::{ContainerName, InstanceName};
pub use label::HostLabel;
pub use legacy::LegacyName;
pub use node::NodeName;
pub use part::PartName;
pub use share::ShareName;
pub use user::UserName;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks the rule; the rule is said in words for people.
    #[error("{rule}")]
    Invalid { rule: &'static str },
    /// The text keeps the rule, but the platform uses this name itself.
    #[error("the name {name:?} is reserved for the platform")]
    Reserved { name: String },
}

/// Gives a name type its text, its conversions and its serialized form (plain text, parsed again).
macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::name::Error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_type;
