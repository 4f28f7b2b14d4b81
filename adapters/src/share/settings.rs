//! Which share, where it is, and what opens it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

use crate::ssh::secret_file;

/// A share.
#[derive(Debug, Clone)]
pub enum ShareSettings {
    /// A folder of this machine, also a mounted one.
    Folder { path: PathBuf },
    /// A container of Azure Blob Storage.
    AzureBlob(AzureSettings),
    /// A share of Azure Files.
    AzureFiles(AzureSettings),
    /// A bucket of S3, or of what speaks like it.
    S3(S3Settings),
}

/// A container or a share of an Azure storage account.
#[derive(Debug, Clone)]
pub struct AzureSettings {
    pub account: String,
    /// The container's name, or the share's.
    pub name: String,
    /// Where the account answers; none for where Azure's public cloud has it.
    pub endpoint: Option<String>,
    pub credential: AzureCredential,
}

/// What opens a storage account.
#[derive(Debug, Clone)]
pub enum AzureCredential {
    /// One of the account's two keys, in base64.
    Key(Secret),
    /// A shared access signature, with or without its question mark. It must allow to list and to read.
    Sas(Secret),
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    pub region: String,
    /// Where it answers; none for where Amazon has the region.
    pub endpoint: Option<String>,
    /// The name of the key.
    pub key_id: String,
    pub key: Secret,
}

/// A secret, or where it is.
#[derive(Clone)]
pub enum Secret {
    /// The first line of a file that nobody but its owner may read.
    File(PathBuf),
    /// The secret itself, as it came from the environment.
    Text(String),
}

impl Secret {
    pub(super) fn read(&self) -> Result<String, InvalidShare> {
        match self {
            Secret::File(path) => {
                let read = secret_file::read(path);
                first_line(&read.map_err(|err| InvalidShare::Secret(err.to_string()))?)
            }
            Secret::Text(text) => first_line(text),
        }
    }
}

fn first_line(text: &str) -> Result<String, InvalidShare> {
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(InvalidShare::Secret("its first line is empty".to_owned())),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::File(path) => path.fmt(f),
            Secret::Text(_) => f.write_str("***"),
        }
    }
}

/// Why there cannot be such a share. What is wrong with a secret is said without the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShare {
    #[error("{path} must be an absolute path", path = .0.display())]
    Path(PathBuf),
    #[error("a storage account has a name of 3 to 24 small letters and digits")]
    Account,
    #[error(
        "a container, share or bucket has a name of 3 to 63 small letters, digits, dots and hyphens"
    )]
    Name,
    #[error("a region has a name of small letters, digits and hyphens")]
    Region,
    #[error(
        "an endpoint is an https:// URL without user, query and fragment; http:// only on this machine"
    )]
    Endpoint,
    #[error("the secret cannot be used: {0}")]
    Secret(String),
    #[error("the machine's TLS settings cannot be read")]
    Tls,
}

impl AzureSettings {
    /// Where the account answers, for one of its services: `blob` or `file`.
    pub(super) fn endpoint(&self, service: &str) -> Result<Url, InvalidShare> {
        let is_account = (3..=24).contains(&self.account.len())
            && self.account.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_account {
            return Err(InvalidShare::Account);
        }
        check_name(&self.name)?;
        let public = || format!("https://{}.{service}.core.windows.net", self.account);
        endpoint(&self.endpoint.clone().unwrap_or_else(public))
    }
}

impl S3Settings {
    pub(super) fn check(&self) -> Result<Option<Url>, InvalidShare> {
        check_name(&self.bucket)?;
        if self.region.is_empty() || !self.region.bytes().all(|byte| is_plain(byte) && byte != b'.')
        {
            return Err(InvalidShare::Region);
        }
        if self.key_id.is_empty() || !self.key_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidShare::Secret("the name of the key is not one".to_owned()));
        }
        self.endpoint.as_deref().map(endpoint).transpose()
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

fn check_name(name: &str) -> Result<(), InvalidShare> {
    let plain = (3..=63).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with(['-', '.'])
        && !name.contains("..");
    if plain { Ok(()) } else { Err(InvalidShare::Name) }
}

fn endpoint(text: &str) -> Result<Url, InvalidShare> {
    let url = Url::parse(text).map_err(|_| InvalidShare::Endpoint)?;
    let is_bare = url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here(&url));
    if is_bare && is_safe { Ok(url) } else { Err(InvalidShare::Endpoint) }
}

/// Whether a URL leads to this very machine, whatever proxies there are.
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure(account: &str, name: &str, endpoint: Option<&str>) -> AzureSettings {
        let credential = AzureCredential::Key(Secret::Text("a2V5".to_owned()));
        let endpoint = endpoint.map(str::to_owned);
        AzureSettings { account: account.to_owned(), name: name.to_owned(), endpoint, credential }
    }

    #[test]
    fn an_account_answers_where_azure_has_it_unless_told_otherwise() {
        let url = azure("examplestore", "code", None).endpoint("file").unwrap();
        assert_eq!(url.as_str(), "https://examplestore.file.core.windows.net/");
        let url = azure("examplestore", "code", Some("http://127.0.0.1:10000/x")).endpoint("blob");
        assert_eq!(url.unwrap().as_str(), "http://127.0.0.1:10000/x");
    }

    #[test]
    fn what_could_send_a_secret_elsewhere_is_refused() {
        for wrong in ["ex", "Example", "a.example.org/", "x@y"] {
            assert_eq!(azure(wrong, "code", None).endpoint("blob"), Err(InvalidShare::Account));
        }
        for wrong in ["", "a/b", "..", "A", "-ab", "a..b"] {
            assert_eq!(azure("example", wrong, None).endpoint("blob"), Err(InvalidShare::Name));
        }
        for wrong in [
            "http://example.org/",
            "http://127.0.0.1.example.org/",
            "https://user:word@example.org/",
            "https://example.org/?sig=x",
            "ftp://127.0.0.1/",
            "example.org",
        ] {
            let refused = azure("example", "code", Some(wrong)).endpoint("blob");
            assert_eq!(refused, Err(InvalidShare::Endpoint), "{wrong}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let settings = azure("example", "code", None);
        assert!(!format!("{settings:?}").contains("a2V5"));
        let missing = Secret::File("/nowhere/key".into()).read().unwrap_err().to_string();
        assert!(missing.contains("/nowhere/key"), "{missing}");
        assert!(Secret::Text(" \n".to_owned()).read().is_err());
    }
}
