//! [`ServicePrincipal`]: who asks Azure, from the environment or from a file that nobody else may read.

use std::fmt;
use std::path::Path;

use azure_core::credentials::Secret;
use common::port::host;
use serde::Deserialize;

use crate::ssh::secret_file;

const DIRECTORY: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";

/// A service principal and its secret, which nothing shows.
#[derive(Clone)]
pub struct ServicePrincipal {
    /// Azure's tenant.
    pub(super) directory: String,
    pub(super) client: String,
    pub(super) secret: Secret,
}

impl fmt::Debug for ServicePrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServicePrincipal");
        shown
            .field("directory", &self.directory)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Why nobody can ask Azure.
#[derive(Debug, thiserror::Error)]
pub enum NoPrincipal {
    #[error("{} not set", .0.join(", "))]
    Unset(Vec<&'static str>),
    #[error(transparent)]
    File(#[from] host::Error),
}

/// As `az ad sp create-for-rbac` prints it; what else it says is left alone.
#[derive(Deserialize)]
struct Printed {
    #[serde(rename = "appId")]
    client: String,
    #[serde(rename = "password")]
    secret: String,
    /// Azure calls it so here.
    #[serde(rename = "tenant")]
    directory: String,
}

impl ServicePrincipal {
    pub fn new(directory: String, client: String, secret: String) -> Self {
        ServicePrincipal { directory, client, secret: Secret::from(secret) }
    }

    /// From `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, by who may read the environment.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, NoPrincipal> {
        let find = |name: &'static str| get(name).filter(|value| !value.is_empty()).ok_or(name);
        match (find(DIRECTORY), find(CLIENT), find(SECRET)) {
            (Ok(directory), Ok(client), Ok(secret)) => {
                Ok(ServicePrincipal::new(directory, client, secret))
            }
            (directory, client, secret) => {
                let unset = [directory.err(), client.err(), secret.err()];
                Err(NoPrincipal::Unset(unset.into_iter().flatten().collect()))
            }
        }
    }

    /// From a file of mode 0600 with `appId`, `password` and `tenant`, as Azure's command line prints them.
    pub fn from_file(path: &Path) -> Result<Self, NoPrincipal> {
        let text = secret_file::read(path)?;
        Ok(Self::from_printed(&text).ok_or_else(|| {
            let why = "it is no JSON with appId, password and tenant".to_owned();
            host::Error::CredentialUnusable { path: path.to_owned(), why }
        })?)
    }

    /// The same from what is printed. What the parser says of it could quote the secret.
    pub fn from_printed(text: &str) -> Option<Self> {
        let Printed { client, secret, directory } = serde_json::from_str(text).ok()?;
        Some(ServicePrincipal::new(directory, client, secret))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_read_from_the_environment_and_all_that_is_missing_is_told() {
        let all = |name: &str| Some(format!("value of {name}"));
        let principal = ServicePrincipal::from_variables(all).unwrap();
        assert_eq!(principal.client, "value of AZURE_CLIENT_ID");
        assert_eq!(principal.secret.secret(), "value of AZURE_CLIENT_SECRET");
        let one = |name: &str| Some(if name == DIRECTORY { "t" } else { "" }.to_owned());
        let missing = ServicePrincipal::from_variables(one).unwrap_err().to_string();
        assert_eq!(missing, "AZURE_CLIENT_ID, AZURE_CLIENT_SECRET not set");
    }

    #[test]
    fn it_is_read_from_a_file_that_is_nobody_elses_and_its_secret_is_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("principal.json");
        let text = r#"{"appId":"c","displayName":"d","password":"hidden","tenant":"t"}"#;
        write(&path, text).unwrap();
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(ServicePrincipal::from_file(&path).is_err());
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let principal = ServicePrincipal::from_file(&path).unwrap();
        assert_eq!((principal.directory.as_str(), principal.secret.secret()), ("t", "hidden"));
        assert!(!format!("{principal:?}").contains("hidden"));
        write(&path, r#"{"appId":"c","password":["hidden"],"tenant":"t"}"#).unwrap();
        let wrong = ServicePrincipal::from_file(&path).unwrap_err();
        assert!(!format!("{wrong} {wrong:?}").contains("hidden"), "{wrong:?}");
    }
}
