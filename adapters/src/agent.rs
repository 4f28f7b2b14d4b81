//! [`AgentClient`]: nodes' agents over HTTPS with mutual TLS.
//!
//! Owns deadlines and how refusals are read; never decides whether to ask again.

mod blobs;
mod failure;
mod lines;
mod pages;
mod parts;

use std::fmt;
use std::future::ready;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use common::agent::{
    ANNOUNCE, Announce, BUILD, BuildQuery, Built, COLLECT, CONTAINERS, DISK, ENSURE, Ensure, LOGS,
    LogQuery, NEEDS, NeedsAre, PINS, PROBE, PULL, Pins, Pull, REMOVE, Remove, SAMPLES,
};
use common::digest::ImageRef;
use common::name::ContainerName;
use common::port::Nodes;
use common::port::container::{Container, ContainerSpec};
use common::port::containers::{Follow, LineStream};
use common::port::disk::{Collected, Collection, Disk, Needs, Pin};
use common::port::nodes::{Agent, Build, Error, Issuer, Probe, Removal, Sample, SampleStream};
use futures::StreamExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{
    Body, Certificate, Client, ClientBuilder, Identity, Method, RequestBuilder, Response,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::fs::File;

use crate::blobs::pieces;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The way may have to be made again first, and the machine be far.
const FORWARD_WITHIN: Duration = Duration::from_secs(8);
/// An agent that is asked what it knows answers from memory.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Starting may pull an image first; stopping waits 10 s for the app.
const CHANGE_WITHIN: Duration = Duration::from_mins(3);
const PULL_WITHIN: Duration = Duration::from_mins(11);
/// The engine sums up what its images take.
const MEASURE_WITHIN: Duration = Duration::from_mins(1);
/// Images are removed one after the other.
const COLLECT_WITHIN: Duration = Duration::from_mins(10);
/// A build, a push, and the builds before it.
const BUILD_WITHIN: Duration = Duration::from_mins(25);
/// Agents close connections that were idle for 5 s.
const IDLE: Duration = Duration::from_secs(4);
/// Samples come ten times a second: a stream that is silent for this long is dead.
const SILENCE: Duration = Duration::from_secs(5);

/// Talks to agents; connections are kept.
#[derive(Clone)]
pub struct AgentClient {
    http: Client,
    /// Asks those that are reached at a port of this computer, by their names.
    forwarded: Option<Client>,
}

impl fmt::Debug for AgentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentClient").finish_non_exhaustive()
    }
}

fn builder(ca: &[u8], identity: &[u8]) -> Result<ClientBuilder, reqwest::Error> {
    let builder = Client::builder()
        .tls_certs_only([Certificate::from_pem(ca)?])
        .identity(Identity::from_pem(identity)?)
        .https_only(true)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    Ok(builder)
}

/// Every name is this computer's; ports stay as they are asked for.
struct OnThisComputer;

impl Resolve for OnThisComputer {
    fn resolve(&self, _: Name) -> Resolving {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Box::pin(ready(Ok(Box::new(iter::once(here)) as Addrs)))
    }
}

impl AgentClient {
    /// `ca`: the platform's CA; `identity`: the caller's certificate and key; all PEM.
    pub fn new(ca: &[u8], identity: &[u8]) -> Result<Self, reqwest::Error> {
        let http = builder(ca, identity)?.connect_timeout(CONNECT_WITHIN).build()?;
        Ok(AgentClient { http, forwarded: None })
    }

    /// Also asks agents at ports of this computer that lead to their machines. Those know no such address: they are asked
    /// by their names, which their certificates hold.
    pub fn with_forwards(ca: &[u8], identity: &[u8]) -> Result<Self, reqwest::Error> {
        let here = builder(ca, identity)?.dns_resolver(OnThisComputer);
        let forwarded = here.connect_timeout(FORWARD_WITHIN).build()?;
        Ok(AgentClient { forwarded: Some(forwarded), ..AgentClient::new(ca, identity)? })
    }

    fn request(&self, method: Method, agent: &Agent, path: &str) -> RequestBuilder {
        let Agent { node, address } = agent;
        match &self.forwarded {
            Some(client) if address.ip().is_loopback() => {
                client.request(method, format!("https://{node}:{}{path}", address.port()))
            }
            Some(_) | None => self.http.request(method, format!("https://{address}{path}")),
        }
    }

    fn post(&self, agent: &Agent, path: &str) -> RequestBuilder {
        self.request(Method::POST, agent, path)
    }

    fn get(&self, agent: &Agent, path: &str) -> RequestBuilder {
        self.request(Method::GET, agent, path)
    }

    fn order<B: Serialize>(&self, agent: &Agent, path: &str, body: &B) -> RequestBuilder {
        self.post(agent, path).timeout(CHANGE_WITHIN).json(body)
    }
}

/// Sends; what is not a success becomes the port's error.
async fn open(agent: &Agent, request: RequestBuilder) -> Result<Response, Error> {
    let response = request.send().await.map_err(|err| failure::unreachable(agent, err))?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(failure::refused(agent, response).await)
    }
}

async fn answer<T: DeserializeOwned>(agent: &Agent, request: RequestBuilder) -> Result<T, Error> {
    let response = open(agent, request).await?;
    response.json().await.map_err(|err| failure::unreachable(agent, err))
}

#[async_trait]
impl Nodes for AgentClient {
    async fn ensure(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error> {
        answer(agent, self.order(agent, ENSURE, &Ensure { issuer, spec: spec.clone() })).await
    }

    async fn remove(&self, agent: &Agent, issuer: Issuer, removal: &Removal) -> Result<(), Error> {
        let body = Remove { issuer, removal: removal.clone() };
        open(agent, self.order(agent, REMOVE, &body)).await.map(drop)
    }

    async fn list(&self, agent: &Agent) -> Result<Vec<Container>, Error> {
        answer(agent, self.get(agent, CONTAINERS).timeout(LOOK_WITHIN)).await
    }

    async fn build(&self, agent: &Agent, issuer: Issuer, build: Build) -> Result<ImageRef, Error> {
        let query = BuildQuery {
            repository: build.repository,
            service: issuer.service,
            epoch: issuer.epoch,
        };
        let request = self.post(agent, BUILD).query(&query).timeout(BUILD_WITHIN);
        let context = Body::wrap_stream(pieces(File::from_std(build.context)));
        let built: Built = answer(agent, request.body(context)).await?;
        Ok(built.image)
    }

    async fn pull(&self, agent: &Agent, issuer: Issuer, image: &ImageRef) -> Result<(), Error> {
        let order = self.order(agent, PULL, &Pull { issuer, image: image.clone() });
        open(agent, order.timeout(PULL_WITHIN)).await.map(drop)
    }

    async fn probe(&self, agent: &Agent, name: &ContainerName) -> Result<Probe, Error> {
        answer(agent, self.get(agent, &format!("{PROBE}/{name}")).timeout(LOOK_WITHIN)).await
    }

    async fn logs(
        &self,
        agent: &Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        let query = LogQuery { tail, follow: follow == Follow::Yes };
        let mut request = self.get(agent, &format!("{LOGS}/{name}")).query(&query);
        if follow == Follow::No {
            request = request.timeout(LOOK_WITHIN);
        }
        let response = open(agent, request).await?;
        let lines = lines::output(response.bytes_stream());
        Ok(lines.map(|line| line.map_err(failure::broken_off)).boxed())
    }

    async fn samples(&self, agent: &Agent) -> Result<SampleStream, Error> {
        let opening = open(agent, self.get(agent, SAMPLES));
        let opened = tokio::time::timeout(LOOK_WITHIN, opening).await;
        let response = opened.map_err(|late| failure::unreachable(agent, late))??;
        let agent = agent.clone();
        let lines = lines::json::<Sample, _, _>(response.bytes_stream(), SILENCE);
        Ok(lines.map(move |line| line.map_err(|err| failure::unreachable(&agent, err))).boxed())
    }

    async fn announce(&self, agent: &Agent, issuer: Issuer) -> Result<(), Error> {
        let order = self.order(agent, ANNOUNCE, &Announce { issuer });
        open(agent, order.timeout(LOOK_WITHIN)).await.map(drop)
    }
    async fn disk(&self, agent: &Agent) -> Result<Disk, Error> {
        answer(agent, self.get(agent, DISK).timeout(MEASURE_WITHIN)).await
    }

    async fn collect(&self, agent: &Agent, collection: &Collection) -> Result<Collected, Error> {
        let order = self.order(agent, COLLECT, collection);
        answer(agent, order.timeout(COLLECT_WITHIN)).await
    }

    async fn pin(&self, agent: &Agent, issuer: Issuer, pins: &[Pin]) -> Result<(), Error> {
        let order = self.order(agent, PINS, &Pins { issuer, pins: pins.to_vec() });
        open(agent, order.timeout(LOOK_WITHIN)).await.map(drop)
    }

    async fn need(&self, agent: &Agent, issuer: Issuer, needs: &Needs) -> Result<(), Error> {
        for (number, needs) in pages::pages(needs).into_iter().enumerate() {
            let adds = number > 0;
            let order = self.order(agent, NEEDS, &NeedsAre { issuer, needs, adds });
            open(agent, order.timeout(LOOK_WITHIN)).await?;
        }
        Ok(())
    }
}
