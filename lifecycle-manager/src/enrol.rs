//! [`RolloutEnrolment`]: machines become nodes by `rollout`'s steps, as the bootstrapper's do.

mod images;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::Entropy;
use common::port::host::{Access, Credential};
use common::port::machines::Shape;
use rollout::Code;
use rollout::machine::{Goal, Journal, Ports, ensure};
use rollout::parts::Secrets;
use rollout::platform::{Component, PlannedMachine, Platform};
use rollout::seed::Seed;

use crate::ports::{Enrolled, Enrolment, NotEnrolled};
use images::NodesImages;

const NOT_RESTORED: &str = "the first machine may lack what the platform has once";
/// What a machine is brought; everything else it fetches from the registry.
const BROUGHT: [Component; 3] = [Component::Platform, Component::Base, Component::Registry];

/// Enrolment over SSH and backends.
#[derive(Debug, Clone)]
pub struct RolloutEnrolment {
    pub ports: Ports,
    /// Where the platform's own private key is.
    pub key: PathBuf,
    /// What the platform has once, and keeps on its first machine. None where no platform is described.
    pub secrets: Option<Secrets>,
    pub entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl Enrolment for RolloutEnrolment {
    /// What is found on the way is found again after a crash; only the pinned host key must not be lost.
    async fn enrol(
        &self,
        platform: &Platform,
        name: &NodeName,
        journal: &dyn Journal,
    ) -> Result<Enrolled, NotEnrolled> {
        let goal = self.goal(platform, name).map_err(|err| told(&err))?;
        let machine = self.ensure(platform, &goal, journal).await.map_err(|err| told(&err))?;
        if platform.seed().is_some_and(|seed| seed.name == *name) {
            self.restore(&machine).await;
        }
        let nowhere = || {
            let message = "it is not known where other machines reach it";
            NotEnrolled::Failed(Failure::new(FailureCode::NodeUnavailable, message))
        };
        let address = machine.reached_at().ok_or_else(nowhere)?;
        Ok(Enrolled { address, gate: machine.gate, host_key: machine.host_key })
    }
}

impl RolloutEnrolment {
    fn goal(&self, platform: &Platform, name: &NodeName) -> Result<Goal, rollout::Failure> {
        let mut goal = Goal::of(platform, name, self.key.clone(), None)?;
        let brought = platform.carried(name).into_iter();
        let brought = brought.filter(|(component, _)| BROUGHT.contains(component));
        goal.images = brought.map(|(_, image)| image.id.clone()).collect();
        // Nobody here has a way to what it comes from. If it runs, one can still sign in.
        if !self.ports.backends.contains_key(goal.machine.shape.kind()) {
            goal.machine.shape = Shape::Given;
        }
        Ok(goal)
    }

    async fn ensure(
        &self,
        platform: &Platform,
        goal: &Goal,
        journal: &dyn Journal,
    ) -> Result<PlannedMachine, rollout::Failure> {
        let images = NodesImages::of(platform, &goal.machine.name, &self.ports);
        let ports = Ports { images: Arc::new(images), ..self.ports.clone() };
        match ensure(&ports, goal, journal).await {
            // A node without the registry's image is better than none.
            Err(err) if err.code == Code::ImageUnavailable => {
                let registry = platform.images.get(&Component::Registry).map(|image| &image.id);
                let Some(images) = without(&goal.images, registry) else { return Err(err) };
                ensure(&ports, &Goal { images, ..goal.clone() }, journal).await
            }
            ended => ended,
        }
    }

    /// The first machine has again what the platform has once, if it lost it: whoever describes the platform anew finds
    /// its authority there, and makes no second one. The machine is a node either way.
    async fn restore(&self, machine: &PlannedMachine) {
        let PlannedMachine { name, gate, user, host_key, .. } = machine.clone();
        let (Some(secrets), Some(at), Some(host_key)) = (&self.secrets, gate, host_key) else {
            return;
        };
        let credential = Credential::KeyFile(self.key.clone());
        let host = match self.ports.hosts.connect(&Access { at, user, credential, host_key }).await
        {
            Ok(host) => host,
            Err(err) => {
                tracing::warn!(error = &err as &dyn Error, machine = %name, "{NOT_RESTORED}");
                return;
            }
        };
        let seed = Seed { machine: name.clone(), host, entropy: Arc::clone(&self.entropy) };
        if let Err(err) = seed.restore(secrets).await {
            tracing::warn!(error = &err as &dyn Error, machine = %name, "{NOT_RESTORED}");
        }
    }
}

/// The same without one of them; none if that is not among them.
fn without(images: &[Digest], one: Option<&Digest>) -> Option<Vec<Digest>> {
    let others: Vec<_> = images.iter().filter(|image| Some(*image) != one).cloned().collect();
    (others.len() < images.len()).then_some(others)
}

fn told(failure: &rollout::Failure) -> NotEnrolled {
    if failure.is_quarantine() {
        NotEnrolled::HostKeyChanged(failure.told())
    } else {
        NotEnrolled::Failed(failure.told())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use common::port::authority::Papers;
    use common::port::host::Gate;
    use rollout::parts::Configured;
    use rollout::seed::{AUTHORITY, FOLDER, JWT};
    use testkit::hosts::{failed, said};
    use testkit::{ManualClock, MemoryHosts, SeededEntropy};

    use super::images::Nothing;
    use super::*;

    const ADDRESS: &str = "192.0.2.1";

    fn first(hosts: &MemoryHosts) -> PlannedMachine {
        hosts.install("ln", |system, call| match call.words()[..] {
            ["-T", from, to] if !system.files.contains_key(to) => {
                let file = system.files[from].clone();
                system.files.insert(to.to_owned(), file);
                said("")
            }
            _ => failed(1, "ln: File exists"),
        });
        let host_key = Some(hosts.add(ADDRESS));
        let key = hosts.make_key("/key", "avishkar fleet");
        hosts.with(ADDRESS, |system| system.authorize("root", &key));
        PlannedMachine {
            name: "node-1".parse().unwrap(),
            shape: Shape::Given,
            gate: Some(Gate::new(ADDRESS)),
            address: None,
            user: "root".to_owned(),
            credential: Credential::KeyFile("/key".into()),
            id: None,
            host_key,
        }
    }

    fn enrolment(hosts: &MemoryHosts) -> RolloutEnrolment {
        let ports = Ports {
            hosts: Arc::new(hosts.clone()),
            backends: BTreeMap::new(),
            images: Arc::new(Nothing),
            clock: Arc::new(ManualClock::default()),
            trust: None,
        };
        let secrets = Secrets {
            authority: Papers { certificate: "ca".to_owned(), key: "its key".to_owned() },
            jwt: "secret".to_owned(),
            ssh_key: "key".to_owned(),
            platform: "{}".to_owned(),
            azure: None,
            shares: BTreeMap::new(),
            configured: Configured::default(),
            given: 0,
        };
        let entropy = Arc::new(SeededEntropy::new(1));
        RolloutEnrolment { ports, key: "/key".into(), secrets: Some(secrets), entropy }
    }

    #[test]
    fn of_the_images_that_a_machine_is_brought_only_the_registrys_may_be_missing() {
        let [program, base, registry] =
            ["program", "base", "registry"].map(|image| Digest::of(image.as_bytes()));
        let own = [program, base];
        let brought = [own.as_slice(), std::slice::from_ref(&registry)].concat();
        assert_eq!(without(&brought, Some(&registry)).unwrap(), own);
        assert_eq!(without(&own, Some(&registry)), None);
        assert_eq!(without(&own, None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_machine_has_again_what_the_platform_has_once_and_keeps_what_stands_there() {
        let hosts = MemoryHosts::new();
        let machine = first(&hosts);
        let enrolment = enrolment(&hosts);
        let kept = |name: &str| {
            let path = format!("{FOLDER}/{name}");
            let file = hosts.with(ADDRESS, |system| system.files.get(&path).cloned());
            file.map(|file| String::from_utf8(file.bytes.to_vec()).unwrap())
        };
        enrolment.restore(&machine).await;
        let authority: Papers = serde_json::from_str(&kept(AUTHORITY).unwrap()).unwrap();
        assert_eq!(authority.certificate, "ca");
        assert_eq!(kept(JWT).unwrap(), "secret");
        let secrets = Secrets { jwt: "another".to_owned(), ..enrolment.secrets.clone().unwrap() };
        RolloutEnrolment { secrets: Some(secrets), ..enrolment }.restore(&machine).await;
        assert_eq!(kept(JWT).unwrap(), "secret");
    }
}
