//! `[shares]` and `[code]`: where the code of services is, and which services run from it.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use common::name::ShareName;
use common::port::share::{AzureOpener, AzurePlace, Code, Description, FolderPlace, S3Place};
use common::service::ServiceName;
use rollout::parts::listeners;

use super::here::Paths;
use super::section::{Entry, Section};
use crate::description::KnownShare;

const KINDS: [&str; 4] = ["folder", "azure-files", "azure-blob", "s3"];
const OPENERS: [&str; 2] = ["key", "sas"];
/// All services at once.
const ALL: &str = "platform";

/// What the file says of both.
pub(super) struct Found {
    pub(super) shares: BTreeMap<ShareName, KnownShare>,
    pub(super) code: BTreeMap<ServiceName, Code>,
}

pub(super) fn read(root: &Section<'_>, paths: Paths<'_>) -> Option<Found> {
    let shares = match root.optional("shares") {
        None => Some(BTreeMap::new()),
        Some(entry) => shares(&entry, paths),
    };
    let code = match root.optional("code") {
        None => Some(BTreeMap::new()),
        Some(entry) => code(&entry, root),
    };
    Some(Found { shares: shares?, code: code? })
}

fn shares(entry: &Entry<'_>, paths: Paths<'_>) -> Option<BTreeMap<ShareName, KnownShare>> {
    let all = entry.pairs()?.into_iter().map(|(name, entry)| {
        let name = match ShareName::from_str(name) {
            Ok(name) => Some(name),
            Err(rule) => entry.wrong(format!("{name:?} is no name of a share"), rule.to_string()),
        };
        let share = entry.section().and_then(|section| share(&entry, &section, paths));
        Some((name?, share?))
    });
    // Each is looked at, so that all that is wrong is told.
    let all: Vec<Option<(ShareName, KnownShare)>> = all.collect();
    all.into_iter().collect()
}

fn share(entry: &Entry<'_>, section: &Section<'_>, paths: Paths<'_>) -> Option<KnownShare> {
    let kind = section.required("kind", "write its kind, as kind = \"azure-files\"")?;
    let kind = kind.word(&KINDS)?;
    let share = match kind {
        "folder" => folder(section),
        "s3" => s3(section),
        "azure-files" => azure(section).map(Description::AzureFiles),
        _ => azure(section).map(Description::AzureBlob),
    };
    let secret_file = if kind == "folder" {
        Some(None)
    } else {
        let hint = "write the file that what opens it is in, as secret_file = \"code.secret\"";
        let entry = section.required("secret_file", hint);
        entry.and_then(|entry| paths.secret(&entry)).map(Some)
    };
    let (share, secret_file) = (share?, secret_file?);
    if let Some((field, rule)) = share.problem() {
        let at = section.optional(field);
        return at.as_ref().unwrap_or(entry).wrong("it cannot be", format!("write {rule}"));
    }
    Some(KnownShare { share, secret_file })
}

fn folder(section: &Section<'_>) -> Option<Description> {
    section.only(&["kind", "path"]);
    let path = text(section, "path", "write where it is on each machine, as \"/mnt/code\"");
    Some(Description::Folder(FolderPlace { path: path?.into() }))
}

fn s3(section: &Section<'_>) -> Option<Description> {
    section.only(&["kind", "bucket", "region", "endpoint", "key_id", "secret_file"]);
    let bucket = text(section, "bucket", "write the name of the bucket");
    let region = text(section, "region", "write the region, as \"eu-west-1\"");
    let key_id = text(section, "key_id", "write the name of the key that is in secret_file");
    let endpoint = endpoint(section);
    Some(Description::S3(S3Place {
        bucket: bucket?,
        region: region?,
        endpoint: endpoint.ok()?,
        key_id: key_id?,
    }))
}

fn azure(section: &Section<'_>) -> Option<AzurePlace> {
    section.only(&["kind", "account", "name", "endpoint", "opened_by", "secret_file"]);
    let account = text(section, "account", "write the name of the storage account");
    let name = text(section, "name", "write the name of the container or the share");
    let opened_by = section.required("opened_by", "write \"key\" or \"sas\"");
    let opened_by = opened_by.and_then(|entry| entry.word(&OPENERS)).map(|word| match word {
        "sas" => AzureOpener::Sas,
        _ => AzureOpener::Key,
    });
    let endpoint = endpoint(section);
    Some(AzurePlace {
        account: account?,
        name: name?,
        endpoint: endpoint.ok()?,
        opened_by: opened_by?,
    })
}

fn text(section: &Section<'_>, key: &str, hint: &str) -> Option<String> {
    section.required(key, hint).and_then(|entry| entry.text()).map(str::to_owned)
}

/// Where it answers; none where nothing is said.
fn endpoint(section: &Section<'_>) -> Result<Option<String>, Wrong> {
    match section.optional("endpoint") {
        None => Ok(None),
        Some(entry) => entry.text().map(|text| Some(text.to_owned())).ok_or(Wrong),
    }
}

/// It was said, and complained of.
struct Wrong;

fn code(entry: &Entry<'_>, root: &Section<'_>) -> Option<BTreeMap<ServiceName, Code>> {
    let named: Vec<&str> = match root.optional("shares").map(|shares| shares.pairs()) {
        Some(Some(pairs)) => pairs.into_iter().map(|(name, _)| name).collect(),
        // What is wrong with them is told where they stand.
        Some(None) => return None,
        None => Vec::new(),
    };
    let mut all = None;
    let mut found = BTreeMap::new();
    let mut is_right = true;
    for (name, entry) in entry.pairs()? {
        let hint = "write share://<share>/<folder>@sha256:<digest>";
        let Some(code) = entry.parsed::<Code>(hint).filter(|code| is_named(&entry, code, &named))
        else {
            is_right = false;
            continue;
        };
        match ServiceName::from_str(name) {
            Ok(service) if listeners(service).is_some() => drop(found.insert(service, code)),
            _ if name == ALL => all = Some(code),
            Ok(_) | Err(_) => {
                let hint = format!("write the name of a service, or {ALL} for all of them");
                is_right = entry.wrong(format!("{name:?} is no service"), hint).unwrap_or(false);
            }
        }
    }
    if let Some(code) = all {
        for service in ServiceName::ALL.into_iter().filter(|one| listeners(*one).is_some()) {
            found.entry(service).or_insert_with(|| code.clone());
        }
    }
    is_right.then_some(found)
}

fn is_named(entry: &Entry<'_>, code: &Code, named: &[&str]) -> bool {
    let is_named = named.contains(&code.share.as_str());
    if !is_named {
        let hint = format!("write a [shares.{}]: see config/platform.toml", code.share);
        entry.wrong::<()>(format!("there is no share {}", code.share), hint);
    }
    is_named
}
