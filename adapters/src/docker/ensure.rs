//! Making a container run, and making it be gone. The usual way takes three calls: make, start, look.

use std::collections::HashMap;

use bollard::body_full;
use bollard::errors::Error as Refusal;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use common::id::Epoch;
use common::name::{ContainerName, InstanceName};
use common::port::container::{Container, ContainerSpec, ContainerState, label};
use common::port::containers::Error;
use tokio::time::{Duration, Instant};

use super::body::{self, Site};
use super::failure::{
    attempt, classify, is_missing, is_so_already, lacks_network, lacks_port, said,
};
use super::networks::Claim;
use super::{Engine, QUICK, START, found};

/// How long an app may take to end after it was asked to.
const STOP_SECONDS: i32 = 10;
/// How often a container is made again that vanishes, or whose name is taken, under our hands.
const TRIES: usize = 3;

/// What a look at the name found.
enum Made {
    New {
        id: String,
    },
    /// A container of the same specification is there.
    Same(Container),
    /// What was in the way is gone: once more.
    Again,
}

impl Engine {
    pub(super) async fn make_running(
        &self,
        spec: &ContainerSpec,
        epoch: Epoch,
    ) -> Result<Container, Error> {
        let claim = self.networks.claim(&spec.instance).await?;
        let result = self.make(spec, epoch, &claim).await;
        drop(claim);
        self.networks.work_ahead();
        result
    }

    async fn make(
        &self,
        spec: &ContainerSpec,
        epoch: Epoch,
        claim: &Claim,
    ) -> Result<Container, Error> {
        for _ in 0..TRIES {
            let id = match self.create(spec, epoch, claim).await? {
                Made::New { id } => id,
                Made::Same(container) => match container.state {
                    ContainerState::Running { .. } => return Ok(container),
                    ContainerState::Created | ContainerState::Exited { .. } => container.id,
                },
                Made::Again => continue,
            };
            if let Err(err) = self.start(&id, spec, claim).await? {
                self.remove_by_id(&id).await?;
                if is_missing(&err) {
                    continue;
                }
                let port = spec.host_port;
                return Err(if lacks_port(&err) {
                    Error::PortTaken { port }
                } else {
                    classify(err)
                });
            }
            if let Some(container) = self.look(&id).await?.and_then(|found| found.container) {
                return Ok(container);
            }
        }
        Err(Error::Refused(format!("the container {} does not stay", spec.name())))
    }

    async fn create(
        &self,
        spec: &ContainerSpec,
        epoch: Epoch,
        claim: &Claim,
    ) -> Result<Made, Error> {
        let name = spec.name();
        let options = CreateContainerOptionsBuilder::new().name(name.as_str()).build();
        let network = claim.network();
        let mut missing = None;
        for image in self.image_names(&spec.image) {
            let home = self.settings.home.as_deref();
            let host_ip = self.settings.host_ip;
            let site = Site { home, host_ip, network: &network, image: &image };
            let body = body::create(spec, epoch, site);
            let made = self.docker.create_container(Some(options.clone()), body);
            match attempt(START, made).await? {
                Ok(made) => return Ok(Made::New { id: made.id }),
                Err(err) if lacks_network(&err) => {
                    claim.remake().await?;
                    return Ok(Made::Again);
                }
                Err(err) if is_missing(&err) => missing = Some(err),
                Err(err) if matches!(said(&err), Some((409, _))) => {
                    return self.clear(spec, &name).await;
                }
                Err(err) => return Err(classify(err)),
            }
        }
        let source = missing.map_or_else(|| "no such image".into(), |err| Box::new(err) as _);
        Err(Error::ImageUnavailable { image: spec.image.to_string(), source })
    }

    /// The name is taken: by the same container, by another of ours, or by a stranger.
    async fn clear(&self, spec: &ContainerSpec, name: &ContainerName) -> Result<Made, Error> {
        let Some(found) = self.look(name.as_str()).await? else { return Ok(Made::Again) };
        match found.container {
            None => Err(Error::Foreign(name.clone())),
            Some(container) if container.spec_hash == spec.hash() => Ok(Made::Same(container)),
            Some(container) => {
                self.stop_and_remove(&container.id).await?;
                Ok(Made::Again)
            }
        }
    }

    /// Puts the files in and starts it. A network that someone removed is made again once.
    async fn start(
        &self,
        id: &str,
        spec: &ContainerSpec,
        claim: &Claim,
    ) -> Result<Result<(), Refusal>, Error> {
        let unfit = |err| Error::Refused(format!("its files cannot be put in: {err}"));
        for (folder, archive) in body::archives(spec).map_err(unfit)? {
            let options = UploadToContainerOptionsBuilder::new().path(&folder).build();
            let uploaded =
                self.docker.upload_to_container(id, Some(options), body_full(archive.into()));
            if let Err(err) = attempt(QUICK, uploaded).await? {
                return Ok(Err(err));
            }
        }
        let start = || self.docker.start_container(id, None::<StartContainerOptions>);
        match attempt(START, start()).await? {
            Err(err) if lacks_network(&err) => {
                claim.remake().await?;
                attempt(START, start()).await
            }
            answer => Ok(answer),
        }
    }

    pub(super) async fn stop_app(&self, name: &ContainerName) -> Result<(), Error> {
        let found = self.look(name.as_str()).await?;
        let Some(container) = found.and_then(|found| found.container) else { return Ok(()) };
        match self.stop_by_id(&container.id).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) || is_so_already(&err) => Ok(()),
            Err(err) => Err(classify(err)),
        }
    }

    pub(super) async fn make_absent(&self, name: &ContainerName) -> Result<(), Error> {
        let found = self.look(name.as_str()).await?;
        let Some(container) = found.and_then(|found| found.container) else { return Ok(()) };
        self.stop_and_remove(&container.id).await?;
        self.free_network(&container.instance).await
    }

    async fn free_network(&self, instance: &InstanceName) -> Result<(), Error> {
        let claims = self.networks.claims(instance);
        let of_instance = format!("{}={instance}", label::INSTANCE);
        let filters = HashMap::from([("label", vec![of_instance])]);
        if found::list(&self.docker, &filters).await?.is_empty() {
            self.networks.release(instance, claims).await;
        }
        Ok(())
    }

    async fn stop_by_id(&self, id: &str) -> Result<Result<(), Refusal>, Error> {
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        attempt(START, self.docker.stop_container(id, Some(options))).await
    }

    async fn stop_and_remove(&self, id: &str) -> Result<(), Error> {
        match self.stop_by_id(id).await? {
            Ok(()) => self.remove_by_id(id).await,
            Err(err) if is_missing(&err) => Ok(()),
            // One that was never started, or that the engine cannot stop, is removed by force.
            Err(err) if said(&err).is_some() => self.remove_by_id(id).await,
            Err(err) => Err(classify(err)),
        }
    }

    /// Returns when it is gone.
    async fn remove_by_id(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match attempt(START, self.docker.remove_container(id, Some(options))).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) => Ok(()),
            Err(err) if matches!(said(&err), Some((409, _))) => self.await_removal(id).await,
            Err(err) => Err(classify(err)),
        }
    }

    /// Someone else's removal is under way.
    async fn await_removal(&self, id: &str) -> Result<(), Error> {
        let until = Instant::now() + START;
        while self.look(id).await?.is_some() {
            if Instant::now() > until {
                return Err(Error::Unavailable("a removal does not end".into()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
