//! The machine on which the suite tries machines in memory.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Hosts;
use common::port::host::{Access, Command, Credential, End, Gate, HostKey, Output};

use super::MemoryHosts;
use crate::contract::hosts::World;

/// Where it is.
pub(super) const AT: &str = "192.0.2.7";
/// Where it says again what it is told.
const ECHO: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7));

/// A machine with the users that the suite wants.
#[derive(Debug)]
pub struct Trial {
    hosts: MemoryHosts,
    key: HostKey,
    next: AtomicU32,
}

impl Trial {
    /// A new machine.
    pub fn begin() -> Self {
        let hosts = MemoryHosts::new();
        let key = hosts.add(AT);
        let owner = hosts.make_key("/keys/ops", "ops");
        hosts.place_password("/keys/password", "right");
        hosts.place_password("/keys/wrong", "wrong");
        hosts.with(AT, |system| {
            for user in ["ops", "guest", "new"] {
                system.add_user(user);
            }
            system.authorize("ops", &owner);
            system.authorize("guest", &owner);
            system.set_may_become_root("ops", true);
            system.set_password("new", "right");
            system.echoes.insert(ECHO);
        });
        hosts.install("die", |_, _| {
            let end = End::Signalled("KILL".to_owned());
            Output { end, stdout: Bytes::new(), stderr: Bytes::new() }
        });
        hosts.install("flood", |_, call| {
            let bytes = Bytes::from(vec![b'x'; call.words()[0].parse().expect("it is a number")]);
            Output { end: End::Exited(0), stdout: bytes.clone(), stderr: bytes }
        });
        Trial { hosts, key, next: AtomicU32::new(0) }
    }

    /// The machines of this world.
    pub fn memory(&self) -> &MemoryHosts {
        &self.hosts
    }

    fn user(&self, user: &str, credential: Credential) -> Access {
        let host_key = self.key.clone();
        Access { at: Gate::new(AT), user: user.to_owned(), credential, host_key }
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

#[async_trait(?Send)]
impl World for Trial {
    fn hosts(&self) -> &dyn Hosts {
        &self.hosts
    }

    fn access(&self) -> Access {
        self.user("ops", Credential::KeyFile("/keys/ops".into()))
    }

    fn without_sudo(&self) -> Access {
        self.user("guest", Credential::KeyFile("/keys/ops".into()))
    }

    fn with_password(&self) -> Access {
        self.user("new", Credential::PasswordFile("/keys/password".into()))
    }

    fn wrong_password(&self) -> PathBuf {
        "/keys/wrong".into()
    }

    fn fresh_file(&self) -> PathBuf {
        format!("/keys/fresh-{}", self.number()).into()
    }

    async fn fresh_folder(&self) -> String {
        let folder = format!("/tmp/folder-{}", self.number());
        self.hosts.with(AT, |system| system.folders.insert(folder.clone()));
        folder
    }

    fn nobody(&self) -> Gate {
        Gate::new("192.0.2.99")
    }

    fn ended_by_signal(&self) -> Command {
        Command::new("die")
    }

    fn flood(&self, bytes: usize) -> Command {
        Command::new("flood").args([bytes.to_string()])
    }

    fn echo(&self) -> SocketAddr {
        ECHO
    }

    async fn say(&self, at: SocketAddr, words: &[u8]) -> Option<Vec<u8>> {
        self.hosts.say(at, words)
    }

    async fn cut(&self) {}
}
