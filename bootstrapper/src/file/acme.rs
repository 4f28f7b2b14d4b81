//! `[acme]`: the public authority that makes certificates of apps' host names.

use rollout::platform::Acme;

use super::here::Paths;
use super::section::Entry;

const KEYS: [&str; 4] = ["directory", "contacts", "agree_to_terms", "trusted_file"];

/// What the section says.
pub(super) fn read(entry: &Entry<'_>, paths: Paths<'_>) -> Option<Acme> {
    let section = entry.section()?;
    section.only(&KEYS);
    let hint = "write the URL of the authority's directory, or take [acme] away";
    let directory = section.required("directory", hint).and_then(|entry| directory(&entry));
    let contacts = section.optional("contacts");
    let contacts = contacts.map_or(Some(Vec::new()), |entry| contacts_of(&entry));
    let hint =
        "write agree_to_terms = true once you have read its terms: nothing is asked of it without";
    let agreed = section.required("agree_to_terms", hint).and_then(|entry| agreed(&entry));
    let trusted = section.optional("trusted_file");
    let trusted = trusted.map_or(Some(None), |entry| trusted_by(&entry, paths).map(Some));
    agreed?;
    Some(Acme { directory: directory?, contacts: contacts?, trusted: trusted? })
}

fn directory(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    let is_url = text.chars().all(|letter| letter.is_ascii_graphic());
    if is_url && host.is_some_and(|host| !host.is_empty()) {
        return Some(text.to_owned());
    }
    let hint = "write an https:// URL, as https://acme-v02.api.letsencrypt.org/directory";
    entry.wrong(format!("{text:?} is no URL of a directory"), hint)
}

fn contacts_of(entry: &Entry<'_>) -> Option<Vec<String>> {
    // Each is looked at, so that all that is wrong is told.
    let all: Vec<Option<String>> = entry.list()?.iter().map(contact).collect();
    all.into_iter().collect()
}

/// As the load balancer takes them, which is told them separated by commas.
fn contact(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let is_whole = text.chars().all(|letter| letter.is_ascii_graphic() && letter != ',');
    match text.split_once('@') {
        Some((who, at)) if is_whole && !who.is_empty() && at.contains('.') => Some(text.to_owned()),
        Some(_) | None => {
            let hint = "write one as ops@example.org, without mailto:";
            entry.wrong(format!("{text:?} is no e-mail address"), hint)
        }
    }
}

fn agreed(entry: &Entry<'_>) -> Option<()> {
    if entry.flag()? {
        return Some(());
    }
    let hint = "write true once you have read them, or take [acme] away";
    entry.wrong("nobody has agreed to the authority's terms", hint)
}

/// It becomes a part of the description, which is no secret.
fn trusted_by(entry: &Entry<'_>, paths: Paths<'_>) -> Option<String> {
    let text = paths.text(entry)?;
    let hint =
        "give a PEM file with the certificates that the authority is trusted by, and nothing else";
    if text.contains("PRIVATE KEY") {
        return entry.wrong("there is a private key in it", hint);
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return entry.wrong("there is no certificate in it", hint);
    }
    Some(text)
}
