//! What a file says of the public authority that makes certificates of host names.

use rollout::platform::{Acme, Platform};

use crate::files::{LOCAL, MANUAL, TRUSTED, described};

const OWN: &str = "directory = \"https://ca.example.org/acme/directory\"\nagree_to_terms = true";

/// The rehearsal with this section `[acme]`.
fn with(section: &str) -> String {
    LOCAL.replacen("[images]", &format!("[acme]\n{section}\n\n[images]"), 1)
}

fn told(section: &str) -> Vec<String> {
    let problems = described(&with(section)).map(|found| found.platform.acme).unwrap_err();
    assert!(problems.iter().all(|problem| problem.line > 1 && !problem.hint.is_empty()));
    problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

#[test]
fn who_makes_certificates_is_read_and_nobody_does_where_nothing_is_said() {
    let manual = described(MANUAL).unwrap().platform;
    let public = Acme {
        directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        contacts: vec!["ops@example.org".to_owned()],
        trusted: None,
    };
    assert_eq!(manual.acme, Some(public));
    let plain = described(LOCAL).unwrap().platform;
    assert_eq!(plain.acme, None);
    let written = serde_json::to_value(&plain).unwrap();
    assert!(written.get("acme").is_none(), "it is written as ever: {written}");

    let own = described(&with(&format!("{OWN}\ntrusted_file = \"authority.pem\""))).unwrap();
    let acme = own.platform.acme.as_ref().unwrap();
    assert_eq!((acme.trusted.as_deref(), acme.contacts.len()), (Some(TRUSTED), 0));
    let read: Platform =
        serde_json::from_value(serde_json::to_value(&own.platform).unwrap()).unwrap();
    assert_eq!(read, own.platform);
}

#[test]
fn an_authority_that_nobody_could_ask_is_refused() {
    for (key, line, message) in [
        ("directory", "directory = 1", "it is a whole number"),
        (
            "directory",
            "directory = \"http://ca.example.org\"",
            "\"http://ca.example.org\" is no URL of a directory",
        ),
        ("directory", "directory = \"https:///d\"", "\"https:///d\" is no URL of a directory"),
        (
            "directory",
            "directory = \"https://ca example\"",
            "\"https://ca example\" is no URL of a directory",
        ),
        ("agree_to_terms", "agree_to_terms = false", "nobody has agreed to the authority's terms"),
        ("agree_to_terms", "agree_to_terms = \"yes\"", "it is a text"),
        ("agree_to_terms", "", "it is missing"),
        ("directory", "", "it is missing"),
    ] {
        let others = OWN.lines().filter(|other| !other.starts_with(key));
        let section: Vec<&str> = others.chain([line]).collect();
        assert_eq!(told(&section.join("\n")), [format!("acme.{key}: {message}")]);
    }
    for (line, message) in [
        ("contacts = \"ops@example.org\"", "contacts: it is a text"),
        (
            "contacts = [\"ops@example.org\", \"nobody\"]",
            "contacts[1]: \"nobody\" is no e-mail address",
        ),
        (
            "contacts = [\"a@example.org,b@example.org\"]",
            "contacts[0]: \"a@example.org,b@example.org\" is no e-mail address",
        ),
        ("trusted_file = \"nowhere.pem\"", "trusted_file: there is no /ops/nowhere.pem"),
        ("trusted_file = \"edge.tar\"", "trusted_file: there is no certificate in it"),
        ("trusted_file = \"both.pem\"", "trusted_file: there is a private key in it"),
        (
            "trusted_file = \"build-env.tar\"",
            "trusted_file: /ops/build-env.tar cannot be read: it is no text",
        ),
        ("contact = []", "contact: there is no such key"),
    ] {
        assert_eq!(told(&format!("{OWN}\n{line}")), [format!("acme.{message}")]);
    }
}
