//! Visitors who would take a model's memory, time or places for themselves.

use std::net::SocketAddr;

use bollard::query_parameters::InspectContainerOptions;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::AsyncRead;
use tokio::net::TcpSocket;

use super::*;

/// Longer than a head, a body or an answer is waited for, and shorter than a connection may only stand open.
const BY_THE_CLOCK: Duration = Duration::from_secs(75);
const SLOW_BODY: &str = "POST /predict HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n\
                         Content-Length: 900\r\n\r\n{";

impl Served<'_> {
    /// Past the engine's own proxy, which takes megabytes of an answer for whoever does not, and lets visitors overtake
    /// one another.
    async fn connect(&self) -> TcpStream {
        let name = self.spec.name();
        let docker = &self.engine.docker;
        let found = docker.inspect_container(name.as_str(), None::<InspectContainerOptions>);
        let networks = found.await.unwrap().network_settings.unwrap().networks.unwrap();
        let address = networks.into_values().find_map(|network| network.ip_address).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let at = SocketAddr::new(address.parse().unwrap(), self.spec.container_port);
        timeout(PATIENCE, socket.connect(at)).await.unwrap().unwrap()
    }

    /// Asks for an answer of so many bytes, and reads none of it.
    async fn ask_for(&self, bytes: usize) -> TcpStream {
        let mut connection = self.connect().await;
        let body = json!({ "input": { "long": bytes } }).to_string();
        let request = format!(
            "POST /predict HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }

    /// How many predictions this process has made.
    async fn predictions(&self) -> u64 {
        let about = self.http.get(self.url("/")).send().await.unwrap();
        let about: Value = about.json().await.unwrap();
        about.get("predictions").and_then(Value::as_u64).unwrap()
    }

    /// A visitor who was not there before asks until he is answered, as who is told to ask again does.
    async fn must_predict_within(&self, patience: Duration, who: &str) {
        let until = Instant::now() + patience;
        let fresh = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        loop {
            let sent = fresh.post(self.url("/predict")).json(&json!({ "input": 1 })).send();
            let told = match timeout(PATIENCE, sent).await.unwrap() {
                Ok(answer) if answer.status() == StatusCode::OK => return,
                Ok(answer) => answer.status().to_string(),
                Err(err) => err.to_string(),
            };
            assert!(Instant::now() < until, "{who} keep it to themselves: {told}");
        }
    }
}

/// What came until the other end closed it.
async fn until_closed(mut read: impl AsyncRead + Unpin) -> String {
    let mut got = Vec::new();
    // Cut off or closed: both are an end.
    drop(read.read_to_end(&mut got).await);
    String::from_utf8_lossy(&got).into_owned()
}

/// Waits until so many of them had to go; the others stay.
async fn until_only<F: Future>(kept: usize, staying: &mut FuturesUnordered<F>) {
    let gone = staying.len() - kept;
    let going = staying.take(gone).count();
    assert_eq!(timeout(PATIENCE, going).await.expect("there is no room for all"), gone);
}

/// What came until the other end closed a connection into which a letter is written now and then.
async fn drip(connection: TcpStream, begin: &str) -> String {
    let (read, mut write) = connection.into_split();
    write.write_all(begin.as_bytes()).await.unwrap();
    let dripping = async {
        while write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = dripping => String::new(),
        told = timeout(BY_THE_CLOCK, until_closed(read)) => told.expect("it has an end"),
    }
}

#[tokio::test]
async fn bodies_that_grow_when_they_are_parsed_do_not_exhaust_its_memory() {
    let len = CONTRACT.replace("[model[\"bias\"], input]", "len(input)");
    with_engine(READY, async |engine| {
        let files = [("model.py", len.as_str()), ("m.json", MODEL)];
        let served = Served::start_with(engine, &files, 600, 1 << 20).await;
        served.until_ready().await;
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        let body = format!("{{\"input\": [{}]}}", vec![deep; 1300].join(","));
        let post = || async {
            let request = served.http.post(served.url("/predict"));
            let request = request.header("content-type", "application/json").body(body.clone());
            request.send().await.unwrap().status().as_u16()
        };
        let told = join_all((0..32).map(|_| post())).await;
        assert!(told.iter().all(|status| [200, 503].contains(status)), "{told:?}");
        assert!(told.contains(&200), "{told:?}");
        let (status, body) = served.predict(&json!({ "input": [1, 2] })).await;
        assert_eq!((status, body), (StatusCode::OK, json!({ "output": 2 })));
        let predicted = told.iter().filter(|status| **status == 200).count() + 1;
        assert!(
            served.predictions().await >= u64::try_from(predicted).unwrap(),
            "it is the same process"
        );
    })
    .await;
}

#[tokio::test]
async fn who_sends_slowly_keeps_nobody_out() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        let mut slow = FuturesUnordered::new();
        for _ in 0..80 {
            let mut connection = served.connect().await;
            connection.write_all(SLOW_BODY.as_bytes()).await.unwrap();
            slow.push(until_closed(connection));
        }
        until_only(64, &mut slow).await;
        // Before they are late, in 30 seconds.
        served.must_predict_within(Duration::from_secs(20), "slow senders").await;
    })
    .await;
}

#[tokio::test]
async fn who_reads_slowly_keeps_neither_its_places_nor_its_memory() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        for bytes in [400_000, 8_000_000] {
            let before = served.predictions().await;
            let slow = join_all((0..48).map(|_| served.ask_for(bytes))).await;
            served.must_predict_within(Duration::from_secs(20), "slow readers").await;
            let after = served.predictions().await;
            assert!(after > before, "{after} of {before}: it is the same process");
            drop(slow);
        }
    })
    .await;
}

#[tokio::test]
async fn who_only_connects_keeps_nobody_out() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        let mut idle = FuturesUnordered::new();
        for _ in 0..160 {
            idle.push(until_closed(served.connect().await));
        }
        until_only(128, &mut idle).await;
        served.must_predict_within(PATIENCE, "idle connections").await;
        let health = "GET /health HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
        let told = served.raw(health).await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_head_a_body_and_an_answer_end_by_the_clock() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        let (head, body) = (served.connect().await, served.connect().await);
        let mut answer = served.ask_for(4_000_000).await;
        // A little now and then, so that each piece is in time.
        let reading = async {
            let mut piece = [0; 1000];
            while answer.read(&mut piece).await.is_ok_and(|read| read > 0) {
                sleep(Duration::from_millis(200)).await;
            }
        };
        let reading = async { timeout(BY_THE_CLOCK, reading).await.expect("it has an end") };
        let dripping = "GET /health HTTP/1.1\r\nX: ";
        let (head, body, ()) = tokio::join!(drip(head, dripping), drip(body, SLOW_BODY), reading);
        assert_eq!(head, "");
        assert!(body.contains("REQUEST_MALFORMED"), "{body}");
        served.must_predict_within(PATIENCE, "they").await;
    })
    .await;
}
