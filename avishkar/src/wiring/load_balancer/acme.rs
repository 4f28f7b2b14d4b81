//! Whom certificates are asked of, if of anybody.

use std::path::PathBuf;

use adapters::acme::{AcmeAuthority, AcmeSettings};
use chassis::config::Problem;
use serde::{Deserialize, Serialize};

/// `[acme]`: a public authority.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAcme {
    /// The URL of its directory; empty for none.
    directory: String,
    /// Whom it may write to.
    contacts: Vec<String>,
    agree_to_terms: bool,
    /// PEM: whom to trust as the authority; empty for those whom the machine trusts.
    trusted_file: PathBuf,
}

/// All problems at once.
pub(super) fn resolve(raw: RawAcme) -> Result<Option<AcmeAuthority>, Vec<Problem>> {
    let RawAcme { directory, contacts, agree_to_terms, trusted_file } = raw;
    if directory.is_empty() {
        return Ok(None);
    }
    let mut problems = Vec::new();
    let mut wrong = |key: &str, why: String| {
        problems.push(Problem::new(&format!("acme.{key}"), why));
    };
    if !directory.starts_with("https://") {
        wrong("directory", "is not the https:// URL of an ACME directory".to_owned());
    }
    if !agree_to_terms {
        wrong(
            "agree_to_terms",
            "must be true: who asks an authority agrees to its terms".to_owned(),
        );
    }
    let is_address = |one: &String| {
        one.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at.contains('.'))
    };
    if !contacts.iter().all(is_address) {
        wrong("contacts", "are not e-mail addresses".to_owned());
    }
    let trusted = if trusted_file.as_os_str().is_empty() {
        Ok(None)
    } else {
        std::fs::read(&trusted_file).map(Some)
    };
    let trusted = trusted.unwrap_or_else(|err| {
        wrong("trusted_file", format!("cannot be read: {err}"));
        None
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let contacts = contacts.iter().map(|contact| format!("mailto:{contact}")).collect();
    let made = AcmeAuthority::new(AcmeSettings { directory, contacts, trusted });
    made.map(Some).map_err(|err| vec![Problem::new("acme.trusted_file", err.to_string())])
}

#[cfg(test)]
mod tests {
    use chassis::config::{Sources, read};

    use super::super::super::Wiring as _;
    use super::super::File;
    use super::*;

    fn raw() -> RawAcme {
        RawAcme {
            directory: "https://ca.example.org/directory".to_owned(),
            contacts: vec!["ops@example.org".to_owned()],
            agree_to_terms: true,
            trusted_file: PathBuf::new(),
        }
    }

    fn wrong(change: impl FnOnce(&mut RawAcme)) -> Vec<String> {
        let mut raw = raw();
        change(&mut raw);
        resolve(raw).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_authority_is_asked_where_one_is_named_and_its_terms_are_agreed_to() {
        assert!(resolve(raw()).unwrap().is_some());
        assert!(resolve(RawAcme { directory: String::new(), ..raw() }).unwrap().is_none());
        let problems = wrong(|raw| {
            "http://ca.example.org".clone_into(&mut raw.directory);
            raw.agree_to_terms = false;
            raw.contacts.push("nobody".to_owned());
            raw.trusted_file = PathBuf::from("/nowhere/ca.pem");
        });
        let keys = ["acme.directory", "acme.agree_to_terms", "acme.contacts", "acme.trusted_file"];
        assert_eq!(problems.len(), keys.len(), "{problems:?}");
        assert!(problems.iter().zip(keys).all(|(told, key)| told.contains(key)), "{problems:?}");
    }

    /// As `rollout` writes it for the load balancers of a fleet.
    #[test]
    fn an_authority_may_be_named_in_the_environment() {
        let mut sources = Sources::default();
        for (key, value) in [
            ("DIRECTORY", "https://ca.example.org/directory"),
            ("CONTACTS", "ops@example.org,night@example.org"),
            ("AGREE_TO_TERMS", "true"),
            ("TRUSTED_FILE", "/etc/avishkar/acme.pem"),
        ] {
            sources.environment.insert(format!("AVISHKAR_ACME__{key}"), value.to_owned());
        }
        let RawAcme { directory, contacts, agree_to_terms, trusted_file } =
            read::<File>(File::DEFAULTS, &sources).unwrap().acme;
        assert_eq!(directory, "https://ca.example.org/directory");
        assert_eq!(contacts, ["ops@example.org", "night@example.org"]);
        assert_eq!((agree_to_terms, trusted_file), (true, PathBuf::from("/etc/avishkar/acme.pem")));
        let one = ("AVISHKAR_ACME__CONTACTS".to_owned(), "ops@example.org".to_owned());
        sources.environment.extend([one]);
        let one = read::<File>(File::DEFAULTS, &sources).unwrap().acme;
        assert_eq!(one.contacts, ["ops@example.org"]);
    }

    #[test]
    fn whom_to_trust_is_a_file_of_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
            .unwrap();
        let problems = wrong(|raw| raw.trusted_file = path);
        assert!(problems[0].contains("acme.trusted_file"), "{problems:?}");
    }
}
