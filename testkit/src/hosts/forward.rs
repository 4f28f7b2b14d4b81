//! Ports of this computer that lead to machines' networks. Nothing listens: who connects asks here.

use std::net::{Ipv4Addr, SocketAddr};

use common::port::host::{Access, Error, Forward};

use super::{Health, MemoryHosts};

/// The first port that is given out.
const FIRST: u16 = 40_000;

/// A way that is there.
#[derive(Debug, Clone)]
pub(super) struct Leads {
    access: Access,
    to: SocketAddr,
}

/// A way, until it is dropped.
#[derive(Debug)]
struct Way {
    hosts: MemoryHosts,
    at: SocketAddr,
}

impl Forward for Way {
    fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.hosts.state().forwards.remove(&self.at);
    }
}

impl MemoryHosts {
    pub(super) async fn open(
        &self,
        access: &Access,
        to: SocketAddr,
    ) -> Result<Box<dyn Forward>, Error> {
        self.sign_in(access).await?;
        let mut state = self.state();
        let mut all = (FIRST..).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let at = all.find(|at| !state.forwards.contains_key(at)).expect("there are many ports");
        state.forwards.insert(at, Leads { access: access.clone(), to });
        Ok(Box::new(Way { hosts: self.clone(), at }))
    }

    /// Where who connects to a port of this computer comes out: at the machine of this address, and whither from there.
    /// Nowhere where no way begins, or the machine lets nobody in any more.
    pub fn leads(&self, at: SocketAddr) -> Option<(String, SocketAddr)> {
        let state = self.state();
        let Leads { access, to } = state.forwards.get(&at)?;
        let system = state.systems.get(&access.at.address)?;
        let answers = system.health == Health::Answers && *system.host_key() == access.host_key;
        answers.then(|| (access.at.address.clone(), *to))
    }

    /// What is answered to who connects to a port of this computer and says this; nothing where he is hung up on.
    pub fn say(&self, at: SocketAddr, words: &[u8]) -> Option<Vec<u8>> {
        let (machine, to) = self.leads(at)?;
        self.with(&machine, |system| system.echoes.contains(&to)).then(|| words.to_vec())
    }
}
