//! [`Description`]: what a share is and where, for whoever opens it. What opens it is a secret and stands elsewhere.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Description {
    /// A folder of each machine, most likely a mounted one. It needs no secret.
    Folder(FolderPlace),
    /// A share of Azure Files.
    AzureFiles(AzurePlace),
    /// A container of Azure Blob Storage.
    AzureBlob(AzurePlace),
    /// A bucket of S3, or of what speaks like it.
    S3(S3Place),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderPlace {
    /// Absolute, on the machine.
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AzurePlace {
    pub account: String,
    /// The container's name, or the share's.
    pub name: String,
    /// Where the account answers; none for where Azure's public cloud has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    pub opened_by: AzureOpener,
}

/// What the secret of a storage account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AzureOpener {
    /// One of the account's two keys, in base64.
    Key,
    /// A shared access signature that allows to list and to read.
    Sas,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Place {
    pub bucket: String,
    pub region: String,
    /// Where it answers; none for where Amazon has the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The name of the key that the secret is.
    pub key_id: String,
}

impl Description {
    /// What cannot be so: its field, and the rule in words. Whether it is there, only a look shows.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        const NAME: &str = "3 to 63 small letters, digits, dots and hyphens";
        const ENDPOINT: &str = "an https:// address; http:// only on the machine itself";
        match self {
            Description::Folder(place) => {
                let has_way = place.path.is_absolute();
                (!has_way).then_some(("path", "an absolute path"))
            }
            Description::AzureFiles(place) | Description::AzureBlob(place) => {
                if !is_plain(&place.account, 3..=24, b"") {
                    return Some(("account", "3 to 24 small letters and digits"));
                }
                if !is_plain(&place.name, 3..=63, b"-.") {
                    return Some(("name", NAME));
                }
                (!is_safe(place.endpoint.as_deref())).then_some(("endpoint", ENDPOINT))
            }
            Description::S3(place) => {
                if !is_plain(&place.bucket, 3..=63, b"-.") {
                    return Some(("bucket", NAME));
                }
                if !is_plain(&place.region, 1..=63, b"-") {
                    return Some(("region", "small letters, digits and hyphens"));
                }
                (!is_safe(place.endpoint.as_deref())).then_some(("endpoint", ENDPOINT))
            }
        }
    }

    /// Whether nobody gets in without a secret.
    pub fn needs_secret(&self) -> bool {
        match self {
            Description::Folder(_) => false,
            Description::AzureFiles(_) | Description::AzureBlob(_) | Description::S3(_) => true,
        }
    }
}

fn is_plain(text: &str, length: RangeInclusive<usize>, also: &[u8]) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
    length.contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a secret may be sent there.
fn is_safe(endpoint: Option<&str>) -> bool {
    const HERE: [&str; 3] = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/']);
    let here = |text: &str| HERE.iter().any(|start| text.strip_prefix(start).is_some_and(ends));
    endpoint.is_none_or(|text| text.starts_with("https://") || here(text))
}

/// A share with what opens it, for machines that read it. It goes over mutual TLS and into files of mode 0600.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub share: Description,
    /// None where nobody needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Never shows the secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("share", &self.share).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_send_a_secret_elsewhere_is_told() {
        let azure = |account: &str, name: &str, endpoint: Option<&str>| {
            let (account, name) = (account.to_owned(), name.to_owned());
            let endpoint = endpoint.map(str::to_owned);
            let opened_by = AzureOpener::Key;
            let place = AzurePlace { account, name, endpoint, opened_by };
            Description::AzureBlob(place).problem().map(|(field, _)| field)
        };
        assert_eq!(azure("examplestore", "code", None), None);
        assert_eq!(azure("examplestore", "code", Some("http://127.0.0.1:10000/x")), None);
        assert_eq!(azure("a/b", "code", None), Some("account"));
        assert_eq!(azure("examplestore", "a/b", None), Some("name"));
        for endpoint in ["http://example.org", "http://127.0.0.1.example.org", "example.org"] {
            assert_eq!(azure("examplestore", "code", Some(endpoint)), Some("endpoint"));
        }
        let folder = Description::Folder(FolderPlace { path: "mnt".into() });
        assert_eq!(folder.problem().map(|(field, _)| field), Some("path"));
    }

    #[test]
    fn what_opens_a_share_is_not_shown() {
        let share = Description::Folder(FolderPlace { path: "/mnt/code".into() });
        let access = Access { share, secret: Some("c2VjcmV0".to_owned()) };
        assert!(!format!("{access:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn a_share_is_described_without_a_secret() {
        let text =
            r#"{"kind":"azure-files","account":"examplestore","name":"code","opened_by":"sas"}"#;
        let described: Description = serde_json::from_str(text).unwrap();
        assert!(described.needs_secret());
        assert_eq!(serde_json::to_string(&described).unwrap(), text);
        let folder = r#"{"kind":"folder","path":"/mnt/code"}"#;
        assert!(!serde_json::from_str::<Description>(folder).unwrap().needs_secret());
        for wrong in [r#"{"kind":"ftp"}"#, r#"{"kind":"s3","bucket":"code","region":"eu-west-1"}"#]
        {
            assert!(serde_json::from_str::<Description>(wrong).is_err(), "{wrong}");
        }
    }
}
