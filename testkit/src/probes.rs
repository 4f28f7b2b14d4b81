//! [`MemoryProbes`]: services as a test wants them to be seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::port::Probes;
use common::port::probes::{Ill, Seen};

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// Answers `Ok` at `/health`.
    Well,
    /// Answers only document 000's `/healthCheck`, with `ok`.
    WellByDocument000,
    /// Answers `/health` with this status and text, and nothing else.
    Answers(u16, String),
    /// Takes connections and never answers.
    Hangs,
}

/// Sees services in memory. Clones see the same ones; where none was put, nobody answers.
#[derive(Debug, Clone, Default)]
pub struct MemoryProbes {
    seen: Arc<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    services: BTreeMap<String, Service>,
    is_cut_off: bool,
    looks: usize,
}

impl MemoryProbes {
    pub fn new() -> Self {
        MemoryProbes::default()
    }

    /// From now on this service is at this address.
    pub fn put(&self, address: &str, service: Service) {
        self.places().services.insert(address.to_owned(), service);
    }

    /// From now on nobody is at this address.
    pub fn take_away(&self, address: &str) {
        self.places().services.remove(address);
    }

    /// Whether from now on nobody answers anywhere, as where whoever looks is cut off from all others.
    pub fn cut_off(&self, is_cut_off: bool) {
        self.places().is_cut_off = is_cut_off;
    }

    /// How often somebody looked.
    pub fn looks(&self) -> usize {
        self.places().looks
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is seen; none if it takes for ever.
    fn glance(&self, address: &str) -> Option<Seen> {
        let mut places = self.places();
        places.looks += 1;
        let is_address = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && port.parse::<u16>().is_ok()
                && !address.contains(['/', '@', '?', '#'])
        });
        if !is_address {
            return Some(Seen::Unknown);
        }
        let service = places.services.get(address).filter(|_| !places.is_cut_off);
        Some(match service {
            None => Seen::Ill(Ill::Silent),
            Some(Service::Well | Service::WellByDocument000) => Seen::Well,
            Some(Service::Answers(200, text)) if text.trim() == "Ok" => Seen::Well,
            Some(Service::Answers(200, _)) => Seen::Ill(Ill::Strange),
            Some(Service::Answers(status, _)) => Seen::Ill(Ill::Status(*status)),
            Some(Service::Hangs) => return None,
        })
    }
}

#[async_trait]
impl Probes for MemoryProbes {
    async fn look(&self, address: &str, within: Duration) -> Seen {
        tokio::task::yield_now().await;
        match self.glance(address) {
            Some(seen) => seen,
            None => {
                tokio::time::sleep(within).await;
                Seen::Ill(Ill::Late)
            }
        }
    }

    /// One service is behind both listeners.
    async fn look_inside(&self, address: SocketAddr, within: Duration) -> Seen {
        self.look(&address.to_string(), within).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::probes::{Services, holds};

    #[async_trait]
    impl Services for MemoryProbes {
        async fn start(&self, service: Service) -> String {
            let address = format!("192.0.2.1:{}", 8000 + self.places().services.len());
            self.put(&address, service);
            address
        }

        async fn nobody(&self) -> String {
            "192.0.2.2:1".to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_fake_keeps_the_contract() {
        let probes = MemoryProbes::new();
        holds(&probes, &probes).await;
    }

    #[tokio::test]
    async fn who_is_cut_off_sees_nobody() {
        let probes = MemoryProbes::new();
        let address = probes.start(Service::Well).await;
        probes.cut_off(true);
        assert_eq!(probes.look(&address, Duration::from_secs(1)).await, Seen::Ill(Ill::Silent));
        assert_eq!(probes.looks(), 1);
    }
}
