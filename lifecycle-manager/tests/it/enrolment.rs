//! Enrolment as it really is, on machines in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use common::digest::Digest;
use common::port::Images;
use common::port::host::ChunkStream;
use common::port::images::Error;
use lifecycle_manager::RolloutEnrolment;
use lifecycle_manager::ports::{Enrolment as _, NotEnrolled};
use rollout::machine::{NoJournal, Ports};
use rollout::platform::Platform;
use testkit::{ManualClock, MemoryHosts, SeededEntropy};

use crate::world::{name, platform};

/// Nothing is at hand.
#[derive(Debug)]
struct NoImages;

#[async_trait]
impl Images for NoImages {
    async fn find(&self, _: &str) -> Result<Option<Digest>, Error> {
        Ok(None)
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error> {
        Err(Error::NotFound(images.iter().map(ToString::to_string).collect()))
    }
}

/// Without a way to what machines come from.
fn enrolment(hosts: &MemoryHosts) -> RolloutEnrolment {
    let ports = Ports {
        hosts: Arc::new(hosts.clone()),
        backends: BTreeMap::new(),
        images: Arc::new(NoImages),
        clock: Arc::new(ManualClock::default()),
        trust: None,
    };
    let entropy = Arc::new(SeededEntropy::new(1));
    RolloutEnrolment { ports, key: "/key".into(), secrets: None, entropy }
}

/// The platform, with the machine at this address let in and pinned.
fn let_in(hosts: &MemoryHosts, node: &str) -> Platform {
    let mut platform = platform();
    let machine = platform.machines.iter_mut().find(|one| one.name == name(node)).unwrap();
    let address = machine.gate.clone().unwrap().address;
    machine.host_key = Some(hosts.add(&address));
    let key = hosts.make_key("/key", "avishkar fleet");
    hosts.with(&address, |system| system.authorize("root", &key));
    platform
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_signed_in_to_where_nobody_here_has_a_way_to_what_it_comes_from() {
    let hosts = MemoryHosts::new();
    let platform = let_in(&hosts, "node-4");
    // There is not even an engine on it; what counts is that somebody came to see.
    let enrolled = enrolment(&hosts).enrol(&platform, &name("node-4"), &NoJournal).await;
    assert!(matches!(enrolled, Err(NotEnrolled::Failed(_))), "{enrolled:?}");
    assert!(!hosts.told("192.0.2.4").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_machine_with_another_key_than_the_pinned_one_is_told_without_a_backend_too() {
    let hosts = MemoryHosts::new();
    let platform = let_in(&hosts, "node-4");
    hosts.change_host_key("192.0.2.4");
    let enrolled = enrolment(&hosts).enrol(&platform, &name("node-4"), &NoJournal).await;
    assert!(matches!(enrolled, Err(NotEnrolled::HostKeyChanged(_))), "{enrolled:?}");
    assert!(hosts.told("192.0.2.4").is_empty());
}

#[test]
fn whoever_is_cut_off_by_the_reconcilers_deadline_has_brought_at_least_one_image() {
    assert!(rollout::machine::LONGEST_COPY < chassis::reconcile::Settings::default().deadline);
}
