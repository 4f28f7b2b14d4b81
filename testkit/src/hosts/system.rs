//! One machine: who may sign in, what is on its disk, and how it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use common::port::host::{Command, FilePath, Fingerprint, HostKey, KeyAlgorithm};

use super::faults::{Fault, Health};
use super::{Proof, PublicKey};

/// A file of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub bytes: Bytes,
    pub mode: u32,
    /// `root`, or the user who wrote it.
    pub owner: String,
}

/// A machine's operating system.
#[derive(Debug)]
pub struct System {
    /// By absolute path. A folder is there if something is in it, or it is one of `folders`.
    pub files: BTreeMap<String, File>,
    pub folders: BTreeSet<String>,
    pub health: Health,
    /// Whether files can be written no more.
    pub disk_full: bool,
    /// How often it booted.
    pub boots: u32,
    /// Where something listens that only the machine reaches, and says again what it is told.
    pub echoes: BTreeSet<SocketAddr>,
    pub(super) told: Vec<Command>,
    pub(super) faults: VecDeque<Fault>,
    host_key: HostKey,
    users: BTreeMap<String, User>,
}

#[derive(Debug, Default)]
struct User {
    password: Option<String>,
    may_become_root: bool,
}

impl System {
    pub(super) fn new(number: u32) -> Self {
        let folders = ["/", "/etc", "/tmp", "/root", "/home"].map(str::to_owned);
        System {
            files: BTreeMap::new(),
            folders: folders.into(),
            health: Health::Answers,
            disk_full: false,
            boots: 1,
            echoes: BTreeSet::new(),
            told: Vec::new(),
            faults: VecDeque::new(),
            host_key: host_key(number),
            users: BTreeMap::from([("root".to_owned(), User::default())]),
        }
    }

    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    pub(super) fn change_host_key(&mut self, number: u32) -> HostKey {
        self.host_key = host_key(number);
        self.host_key.clone()
    }

    /// The machine has this user, who may not become root, nor sign in without a key.
    pub fn add_user(&mut self, name: &str) {
        self.users.insert(name.to_owned(), User::default());
        self.folders.insert(home(name));
    }

    pub fn set_password(&mut self, name: &str, password: &str) {
        self.users.entry(name.to_owned()).or_default().password = Some(password.to_owned());
    }

    pub fn set_may_become_root(&mut self, name: &str, may: bool) {
        self.users.entry(name.to_owned()).or_default().may_become_root = may;
    }

    pub fn may_become_root(&self, name: &str) -> bool {
        name == "root" || self.users.get(name).is_some_and(|user| user.may_become_root)
    }

    /// The next calls fail so, one after another.
    pub fn fail_next(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    /// Starts anew: what is on its disk stays.
    pub fn reboot(&mut self) {
        self.boots += 1;
        self.health = Health::Answers;
    }

    /// Lets the holder of a key sign in, beside those that are let in already.
    pub fn authorize(&mut self, name: &str, key: &PublicKey) {
        let path = authorized_keys(name);
        let before = self.files.get(path.as_str()).map(|file| file.bytes.clone());
        let before = String::from_utf8_lossy(&before.unwrap_or_default()).into_owned();
        if !key.is_in(&before) {
            let bytes = Bytes::from(format!("{before}{key}\n"));
            let file = File { bytes, mode: 0o600, owner: name.to_owned() };
            self.files.insert(path.to_string(), file);
        }
    }

    pub(super) fn lets_in(&self, name: &str, proof: &Proof) -> bool {
        let Some(user) = self.users.get(name) else { return false };
        let file = self.files.get(authorized_keys(name).as_str());
        let keys = file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
        let keys = keys.unwrap_or_default();
        match proof {
            Proof::Key(key) => key.is_in(&keys),
            Proof::AnyKey(held) => held.iter().any(|key| key.is_in(&keys)),
            Proof::Password(password) => user.password.as_ref() == Some(password),
        }
    }

    pub(super) fn has_folder(&self, path: &str) -> bool {
        let within = format!("{}/", path.trim_end_matches('/'));
        self.folders.contains(path) || self.files.keys().any(|file| file.starts_with(&within))
    }

    /// The names directly in a folder, sorted.
    pub(super) fn names_in(&self, folder: &str) -> BTreeSet<String> {
        let within = format!("{}/", folder.trim_end_matches('/'));
        let paths = self.files.keys().chain(&self.folders);
        let rest = paths.filter_map(|path| path.strip_prefix(&within));
        let names = rest.filter_map(|rest| rest.split('/').next());
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

pub(super) fn home(user: &str) -> String {
    if user == "root" { "/root".to_owned() } else { format!("/home/{user}") }
}

fn authorized_keys(user: &str) -> FilePath {
    format!("{}/.ssh/authorized_keys", home(user)).parse().expect("it is an absolute path")
}

fn host_key(number: u32) -> HostKey {
    let fingerprint: Fingerprint =
        format!("SHA256:{number:A>43}").parse().expect("it has the form of a fingerprint");
    HostKey { algorithm: KeyAlgorithm::Ed25519, fingerprint }
}
