//! Binding and serving the two listeners.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use common::service::ServiceName;

use super::access::{self, Callers};
use super::common_endpoints::{self, About};
use super::refusal::route_unknown;
use super::{Config, caller, json_config, path_config, query_config, standby, unread};
use crate::lifecycle::Lifecycle;
use crate::service::Service;
use crate::tls;

/// How long open requests may take when the process stops.
const STOP_SECONDS: u64 = 8;
/// How long a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 1024;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{address} cannot be bound")]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("mutual TLS cannot be set up")]
    Tls(#[source] tls::Error),
}

/// Bound listeners that do not serve yet, with the addresses they got.
#[expect(missing_debug_implementations, reason = "a server has no debug form")]
pub struct Listeners {
    servers: Vec<Server>,
    pub plain: Option<SocketAddr>,
    pub internal: Option<SocketAddr>,
}

/// Opens the listeners of a service. Port 0 takes a free one.
pub fn bind(
    config: &Config,
    service: &Arc<dyn Service>,
    lifecycle: &Lifecycle,
    log_file: Option<PathBuf>,
) -> Result<Listeners, Error> {
    let about = Arc::new(About {
        service: service.name(),
        lifecycle: lifecycle.clone(),
        log_file,
        metrics: service.metrics(),
        any_instance_answers: service.any_instance_answers(),
        leader_paths: service.leader_paths(),
        own_paths: service.own_paths(),
    });
    let mut listeners = Listeners { servers: Vec::new(), plain: None, internal: None };
    if let Some(address) = config.address {
        let (server, bound) = plain(config, address, service, &about)?;
        listeners.servers.push(server);
        listeners.plain = bound;
    }
    if let Some(address) = config.internal_address {
        let (server, bound) = internal(config, address, service, &about)?;
        listeners.servers.push(server);
        listeners.internal = bound;
    }
    Ok(listeners)
}

fn plain(
    config: &Config,
    address: SocketAddr,
    service: &Arc<dyn Service>,
    about: &Arc<About>,
) -> Result<(Server, Option<SocketAddr>), Error> {
    let (service, about, origins) =
        (Arc::clone(service), Arc::clone(about), config.cors_origins.clone());
    let server = HttpServer::new(move || {
        let service = Arc::clone(&service);
        App::new()
            .app_data(json_config())
            .app_data(path_config())
            .app_data(query_config())
            .app_data(Data::new(Arc::clone(&about)))
            .wrap(from_fn(standby::send_to_leader))
            .wrap(from_fn(unread::close))
            .wrap(cors(&origins))
            .wrap(from_fn(access::trace))
            .configure(common_endpoints::routes)
            .configure(move |routes| service.public_routes(routes))
            .default_service(web::route().to(route_unknown))
    });
    let server = server
        .workers(config.workers)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEADERS_WITHIN)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .bind(address)
        .map_err(|source| Error::Bind { address, source })?;
    let bound = server.addrs().first().copied();
    Ok((server.run(), bound))
}

fn internal(
    config: &Config,
    address: SocketAddr,
    service: &Arc<dyn Service>,
    about: &Arc<About>,
) -> Result<(Server, Option<SocketAddr>), Error> {
    let identity = tls::Identity::load(&config.pki, service.name()).map_err(Error::Tls)?;
    let tls = identity.server_config().map_err(Error::Tls)?;
    // Monitoring looks at every service; its own rows say what else it may ask.
    let looks = [ServiceName::Monitoring];
    let callers = Data::new(Callers(service.internal_callers().into_iter().chain(looks).collect()));
    let (service, about) = (Arc::clone(service), Arc::clone(about));
    let server = HttpServer::new(move || {
        let service = Arc::clone(&service);
        App::new()
            .app_data(json_config().limit(1024 * 1024))
            .app_data(path_config())
            .app_data(query_config())
            .app_data(Data::new(Arc::clone(&about)))
            .app_data(callers.clone())
            .wrap(from_fn(standby::send_to_leader))
            .wrap(from_fn(access::identify))
            .wrap(from_fn(access::trace))
            .configure(common_endpoints::routes)
            .configure(move |routes| service.internal_routes(routes))
            .default_service(web::route().to(route_unknown))
    });
    let server = server
        .workers(config.workers)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEADERS_WITHIN)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .on_connect(caller::note)
        .bind_rustls_0_23(address, tls)
        .map_err(|source| Error::Bind { address, source })?;
    let bound = server.addrs().first().copied();
    Ok((server.run(), bound))
}

/// Deny by default: only the configured origins.
fn cors(origins: &[String]) -> Cors {
    let mut cors = Cors::default().allow_any_method().allow_any_header().max_age(600);
    for origin in origins {
        cors = if origin == "*" { cors.allow_any_origin() } else { cors.allowed_origin(origin) };
    }
    cors
}

impl Listeners {
    /// Serves until `lifecycle` says stop, then lets open requests finish within a bound.
    pub async fn serve(self, lifecycle: &Lifecycle) -> io::Result<()> {
        let handles: Vec<_> = self.servers.iter().map(Server::handle).collect();
        let serving = futures::future::try_join_all(self.servers);
        let stopping = async {
            lifecycle.stopping().await;
            futures::future::join_all(handles.iter().map(|handle| handle.stop(true))).await;
        };
        let (served, ()) = futures::join!(serving, stopping);
        served.map(drop)
    }
}
