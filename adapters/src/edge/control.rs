//! The edge's control socket: HTTP on a Unix socket.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::iter::successors;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use common::id::{Epoch, Generation};
use common::name::{HostName, LegacyName};
use common::port::edge::{CertificateSet, Error, ServedCertificates, Visits};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// The edge waits up to a second for its workers, and up to two for an app it probes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// The host in requests' URLs says nothing: they all go through the socket.
const BASE: &str = "http://edge";

/// Asks the edge.
#[derive(Debug, Clone)]
pub(super) struct Control {
    http: Client,
}

/// What the edge says of itself; -1 stands for "none yet".
#[derive(Debug, Deserialize)]
pub(super) struct EdgeStatus {
    epoch: i64,
    generation: i64,
    pub(super) ports: Ports,
    pub(super) host_port: u16,
    #[serde(default, deserialize_with = "lua_list")]
    pub(super) damage: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Ports {
    pub(super) first: u16,
    pub(super) last: u16,
    #[serde(deserialize_with = "lua_list")]
    pub(super) closed: Vec<u16>,
}

/// Lua has one kind of table: its empty list may be written as `{}`.
fn lua_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        List(Vec<T>),
        Empty {},
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(list) => list,
        Either::Empty {} => Vec::new(),
    })
}

#[derive(Debug, Serialize)]
struct Announced {
    epoch: Epoch,
    generation: Generation,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    observed: Observed,
}

#[derive(Debug, Deserialize)]
struct Observed {
    epoch: i64,
    generation: i64,
}

#[derive(Debug, Deserialize)]
struct Refused {
    code: String,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Deserialize)]
struct Counts {
    picks: BTreeMap<SocketAddr, u64>,
}

/// Which certificates it shows; -1 stands for "none yet".
#[derive(Debug, Deserialize)]
struct Certified {
    epoch: i64,
    generation: i64,
    #[serde(deserialize_with = "lua_list")]
    hosts: Vec<HostName>,
}

#[derive(Debug, Deserialize)]
struct Probed {
    /// 0: nothing answered.
    status: u16,
}

impl EdgeStatus {
    /// The table that every worker serves.
    pub(super) fn served(&self) -> (Epoch, Generation) {
        pair(self.epoch, self.generation)
    }
}

fn pair(epoch: i64, generation: i64) -> (Epoch, Generation) {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    (Epoch(count(epoch)), Generation(count(generation)))
}

impl Control {
    pub(super) fn new(socket: &Path) -> Self {
        // Connections are not kept: the edge may be another process at the next call.
        let http = Client::builder()
            .unix_socket(socket)
            .tls_certs_only([])
            .timeout(ANSWERS_WITHIN)
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without proxies and certificates can be made");
        Control { http }
    }

    /// Says which table stands in the file: what the workers serve now, or the code of a refusal.
    pub(super) async fn announce(
        &self,
        (epoch, generation): (Epoch, Generation),
    ) -> Result<Result<(Epoch, Generation), String>, Error> {
        let body = Announced { epoch, generation };
        let answer = answer(self.http.post(format!("{BASE}/table")).json(&body)).await?;
        Ok(match read::<Accepted>(&answer)? {
            Ok(accepted) => Ok(pair(accepted.observed.epoch, accepted.observed.generation)),
            Err(refused) => {
                tracing::warn!(code = %refused.code, detail = %refused.detail, "the edge refused a table");
                Err(refused.code)
            }
        })
    }

    /// Gives it a whole set of certificates; the code of a refusal.
    pub(super) async fn certify(&self, set: &CertificateSet) -> Result<Result<(), String>, Error> {
        let answer = answer(self.http.post(format!("{BASE}/certificates")).json(set)).await?;
        Ok(match read::<Certified>(&answer)? {
            Ok(_) => Ok(()),
            Err(refused) => {
                tracing::warn!(code = %refused.code, detail = %refused.detail, "the edge refused a set of certificates");
                Err(refused.code)
            }
        })
    }

    pub(super) async fn certificates(&self) -> Result<ServedCertificates, Error> {
        let Certified { epoch, generation, hosts } = self.get("/certificates").await?;
        let (epoch, generation) = pair(epoch, generation);
        Ok(ServedCertificates { epoch, generation, hosts })
    }

    pub(super) async fn status(&self) -> Result<EdgeStatus, Error> {
        self.get("/status").await
    }

    /// How often each replica was chosen since the edge started.
    pub(super) async fn picks(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        let counts: Counts = self.get("/counts").await?;
        Ok(counts.picks)
    }

    pub(super) async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.get("/visits").await
    }

    pub(super) async fn probe(&self, port: u16, path: &str) -> Result<Option<u16>, Error> {
        let query = [("port", port.to_string()), ("path", path.to_owned())];
        let request = self.http.get(format!("{BASE}/probe")).query(&query);
        let answer = answer(request).await?;
        let probed = read::<Probed>(&answer)?.map_err(code)?;
        Ok(Some(probed.status).filter(|status| *status != 0))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = answer(self.http.get(format!("{BASE}{path}"))).await?;
        read(&answer)?.map_err(code)
    }
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

async fn answer(request: RequestBuilder) -> Result<Answer, Error> {
    let response = request.send().await.map_err(unavailable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unavailable)?.to_vec();
    Ok(Answer { status, body })
}

/// A success as what was asked for, a refusal as the edge words it.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<Result<T, Refused>, Error> {
    let json = |err: serde_json::Error| Error::Unavailable(err.into());
    if answer.status.is_success() {
        serde_json::from_slice(&answer.body).map(Ok).map_err(json)
    } else {
        serde_json::from_slice(&answer.body).map(Err).map_err(json)
    }
}

fn code(refused: Refused) -> Error {
    Error::Refused { code: refused.code }
}

/// A socket that nobody listens on any more is what a process leaves that has ended. One that is not there says nothing:
/// it may have been taken away.
fn unavailable(err: reqwest::Error) -> Error {
    let causes = successors(err.source(), |&cause| cause.source());
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    if causes.any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused) {
        return Error::Ended;
    }
    Error::Unavailable(err.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn who_left_its_socket_behind_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let control = Control::new(&socket);
        assert!(matches!(control.status().await, Err(Error::Unavailable(_))));
        drop(UnixListener::bind(&socket).unwrap());
        assert!(matches!(control.status().await, Err(Error::Ended)));
    }

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_edge_without_a_table_serves_the_one_before_all() {
        let body = r#"{"epoch":-1,"generation":-1,"routes":0,"workers":2,"bind":"127.0.0.1",
            "ports":{"first":2000,"last":2999,"closed":[2181]},"host_port":8088,"started_at":5}"#;
        let status: EdgeStatus = read(&answer(200, body)).unwrap().unwrap();
        assert_eq!(status.served(), (Epoch(0), Generation(0)));
        assert_eq!(status.ports.closed, [2181]);
        let none_closed = body.replace("[2181]", "{}");
        let status: EdgeStatus = read(&answer(200, &none_closed)).unwrap().unwrap();
        assert!(status.ports.closed.is_empty());
    }

    #[test]
    fn counts_are_read_by_address() {
        let body = r#"{"started_at":5,"picks":{"192.0.2.1:20000":7}}"#;
        let counts: Counts = read(&answer(200, body)).unwrap().unwrap();
        assert_eq!(counts.picks, [("192.0.2.1:20000".parse().unwrap(), 7)].into());
    }

    #[test]
    fn a_refusal_is_told_by_its_code_and_nonsense_is_no_answer() {
        let refused = answer(409, r#"{"code":"STALE_GENERATION","detail":"…"}"#);
        let refused = read::<Accepted>(&refused).unwrap().unwrap_err();
        assert_eq!(refused.code, "STALE_GENERATION");
        assert!(read::<Accepted>(&answer(502, "<html>")).is_err());
    }
}
