//! The program that serves models, in the image that apps run in: what it answers, and how it ends.

mod visitors;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use common::id::Epoch;
use common::port::Containers as _;
use common::port::container::{ContainerSpec, ContainerState};
use futures::future::join_all;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Engine, LOOPBACK, PATIENCE, with_engine};

/// What an app has where it says nothing.
const MEMORY: u64 = 256 << 20;
const READY: &str = "sleep 600";
const CONTRACT: &str = r#"
"""Adds."""
import json, time

def load(path):
    with open(path) as file:
        return json.load(file)

def predict(model, input):
    if input == "raise":
        raise KeyError("an inner matter")
    if input == "refuse":
        raise ValueError("not this one")
    if input == "nan":
        return float("nan")
    if input == "object":
        return object()
    if input == "a while":
        time.sleep(0.2)
    if input == "for ever":
        time.sleep(600)
    if isinstance(input, dict):
        return "x" * input["long"]
    return [model["bias"], input]
"#;
const MODEL: &str = r#"{"bias": 7}"#;

/// Another image than this machine's newest may be tried.
#[expect(clippy::disallowed_methods, reason = "set by who runs the tests")]
fn base() -> String {
    let set = std::env::var("AVISHKAR_TEST_PYTHON_IMAGE");
    set.unwrap_or_else(|_| "avishkar/runtime-python:dev".to_owned())
}

/// What the deployment manager makes of a bundle of these files.
fn context(files: &[(&str, &str)], timeout_seconds: u32, most: usize) -> Bytes {
    let command = json!([
        "python",
        "/usr/local/lib/avishkar/serve_model",
        "--file",
        "m.json",
        "--contract",
        "model.py",
        "--max-body-bytes",
        most.to_string(),
        "--timeout-seconds",
        timeout_seconds.to_string(),
    ]);
    let dockerfile =
        format!("FROM {}\nCOPY --chown=10001:10001 app/ /app/\nCMD {command}\n", base());
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |path: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    };
    append("Dockerfile", &dockerfile);
    for (path, text) in files {
        append(&format!("app/{path}"), text);
    }
    archive.into_inner().unwrap().into()
}

/// A container of a model.
struct Served<'a> {
    engine: &'a Engine,
    spec: ContainerSpec,
    http: Client,
}

#[expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]
impl<'a> Served<'a> {
    async fn start(engine: &'a Engine, files: &[(&str, &str)], timeout_seconds: u32) -> Served<'a> {
        Self::start_with(engine, files, timeout_seconds, 1000).await
    }

    async fn start_with(
        engine: &'a Engine,
        files: &[(&str, &str)],
        timeout_seconds: u32,
        most: usize,
    ) -> Served<'a> {
        let image = engine.build(context(files, timeout_seconds, most)).await;
        let mut spec = ContainerSpec { image, read_only: true, ..engine.spec() };
        spec.limits.memory_bytes = MEMORY;
        engine.containers.ensure_running(&spec, Epoch(1)).await.unwrap();
        Served { engine, spec, http: Client::builder().no_proxy().build().unwrap() }
    }

    async fn ready(engine: &'a Engine, files: &[(&str, &str)], timeout_seconds: u32) -> Served<'a> {
        let served = Self::start(engine, files, timeout_seconds).await;
        served.until_ready().await;
        served
    }

    /// Waits until it is ready; gives the codes it said until then.
    async fn until_ready(&self) -> Vec<String> {
        let mut codes = Vec::new();
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "{}", self.engine.output_of(&self.spec.name()).await);
            match self.http.get(self.url("/health")).send().await {
                Ok(answer) if answer.status().is_success() => return codes,
                Ok(answer) => {
                    let body: Value = answer.json().await.unwrap();
                    codes.push(body["code"].as_str().unwrap().to_owned());
                }
                Err(_) => {}
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{LOOPBACK}:{}{path}", self.spec.host_port)
    }

    async fn predict(&self, body: &Value) -> (StatusCode, Value) {
        let answer = self.http.post(self.url("/predict")).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// The status and the code of a request that is refused.
    async fn refused(&self, method: Method, path: &str, kind: &str, body: &str) -> (u16, String) {
        let request = self.http.request(method, self.url(path)).header("content-type", kind);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert!(!body["detail"].as_str().unwrap().is_empty(), "{body}");
        (status, body["code"].as_str().unwrap().to_owned())
    }

    /// What is answered to these very bytes.
    async fn raw(&self, request: &str) -> String {
        let mut connection = TcpStream::connect((LOOPBACK, self.spec.host_port)).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        answer
    }
}

#[tokio::test]
async fn the_sample_tells_the_rent() {
    with_engine(READY, async |engine| {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/model");
        let read = |name: &str| fs::read_to_string(sample.join(name)).unwrap();
        let (contract, weights) = (read("model.py"), read("weights.json"));
        let files = [("model.py", contract.as_str()), ("m.json", weights.as_str())];
        let served = Served::ready(engine, &files, 30).await;
        let flat = json!({ "square_meters": 60, "rooms": 2, "minutes_to_center": 15 });
        let (status, body) = served.predict(&json!({ "input": flat })).await;
        assert_eq!((status, body), (StatusCode::OK, json!({ "output": { "rent": 760.0 } })));
        let (status, body) = served.predict(&json!({ "input": { "rooms": 2 } })).await;
        assert_eq!((status.as_u16(), &body["code"]), (422, &json!("INPUT_REFUSED")));
        let answer = served.http.get(served.url("/")).send().await.unwrap();
        let about: Value = answer.json().await.unwrap();
        assert_eq!((&about["kind"], &about["ready"]), (&json!("model"), &json!(true)));
        assert!(about["about"].as_str().unwrap().starts_with("The monthly rent"), "{about}");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_predicted_is_refused_with_its_code_and_the_next_input_is_predicted() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        let json = "application/json";
        let large = format!("{{\"input\": \"{}\"}}", "x".repeat(2_000_000));
        let post = || Method::POST;
        let cases = [
            (post(), "/predict", json, "{\"input\": ", 400, "JSON_INVALID"),
            (post(), "/predict", json, "{\"input\": NaN}", 400, "JSON_INVALID"),
            (post(), "/predict", json, "{\"inputs\": 1}", 422, "INPUT_MISSING"),
            (post(), "/predict", json, "{\"input\": 1, \"more\": 2}", 422, "INPUT_MISSING"),
            (post(), "/predict", json, "[1]", 422, "INPUT_MISSING"),
            (post(), "/predict", "text/plain", "{\"input\": 1}", 415, "CONTENT_TYPE_INVALID"),
            (post(), "/predict", json, &large, 413, "BODY_TOO_LARGE"),
            (post(), "/predict", json, "{\"input\": \"refuse\"}", 422, "INPUT_REFUSED"),
            (post(), "/predict", json, "{\"input\": \"raise\"}", 500, "PREDICTION_FAILED"),
            (post(), "/predict", json, "{\"input\": \"nan\"}", 500, "PREDICTION_FAILED"),
            (post(), "/predict", json, "{\"input\": \"object\"}", 500, "PREDICTION_FAILED"),
            (post(), "/elsewhere", json, "{\"input\": 1}", 404, "NOT_FOUND"),
            (post(), "/health", json, "{\"input\": 1}", 405, "METHOD_NOT_ALLOWED"),
            (Method::GET, "/predict", json, "", 405, "METHOD_NOT_ALLOWED"),
            (Method::PUT, "/predict", json, "{\"input\": 1}", 405, "METHOD_NOT_ALLOWED"),
        ];
        for (method, path, kind, body, status, code) in cases {
            let told = served.refused(method, path, kind, body).await;
            let shown: String = body.chars().take(60).collect();
            assert_eq!(told, (status, code.to_owned()), "{path} {shown}");
            let (status, body) = served.predict(&json!({ "input": [1, "ü"] })).await;
            assert_eq!((status, body), (StatusCode::OK, json!({ "output": [7, [1, "ü"]] })));
        }
        let chunked = "POST /predict HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\
                       Content-Type: application/json\r\n\r\n1\r\n1\r\n0\r\n\r\n";
        assert!(served.raw(chunked).await.contains("LENGTH_REQUIRED"));
        assert!(served.raw("NO HTTP\r\n\r\n").await.contains("REQUEST_MALFORMED"));
        let line = format!("X: {}\r\n", "x".repeat(50_000));
        let large = served.raw(&format!("GET / HTTP/1.1\r\n{line}{line}\r\n")).await;
        assert!(large.starts_with("HTTP/1.1 431 ") && large.contains("REQUEST_MALFORMED"));
        let output = engine.output_of(&served.spec.name()).await;
        assert!(output.contains("KeyError: 'an inner matter'"), "{output}");
    })
    .await;
}

#[tokio::test]
async fn a_model_is_ready_once_it_is_loaded() {
    let slow = CONTRACT.replace("with open", "time.sleep(3)\n    with open");
    with_engine(READY, async |engine| {
        let served = Served::start(engine, &[("model.py", &slow), ("m.json", MODEL)], 30).await;
        let codes = served.until_ready().await;
        assert!(codes.iter().any(|code| code == "MODEL_LOADING"), "{codes:?}");
    })
    .await;
}

#[tokio::test]
async fn more_than_can_wait_are_told_so_and_the_others_are_predicted() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 30).await;
        let body = json!({ "input": "a while" });
        let answers = join_all((0..48).map(|_| served.predict(&body))).await;
        let mut told = BTreeMap::new();
        for (status, _) in answers {
            *told.entry(status.as_u16()).or_insert(0) += 1;
        }
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), [200, 503], "{told:?}");
        assert!(told.get(&200).is_some_and(|count| *count >= 32), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_ends_and_says_why_last() {
    let fails = CONTRACT.replace("json.load(file)", "json.load(file)[\"weights\"]");
    let cases = [
        (fails.as_str(), "load(\"m.json\") of model.py failed: KeyError: 'weights'"),
        ("import nowhere", "model.py cannot be imported: ModuleNotFoundError:"),
        ("load = print", "model.py has no function predict(model, input)"),
        ("load = print\ndef predict(input): 0", "model.py: predict takes other arguments"),
        ("load = print\nasync def predict(model, input): 0", "model.py: predict is async"),
    ];
    with_engine(READY, async |engine| {
        for (contract, why) in cases {
            let files = [("model.py", contract), ("m.json", MODEL)];
            let served = Served::start(engine, &files, 30).await;
            let state = engine.exit_of(&served.spec.name()).await;
            assert!(matches!(state, ContainerState::Exited { code: 1, .. }), "{state:?}");
            let output = engine.output_of(&served.spec.name()).await;
            let last = output.trim_end().lines().next_back().unwrap_or_default();
            assert!(last.contains("model: it cannot be served: "), "{output}");
            assert!(last.contains(why), "{output}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_prediction_that_takes_too_long_is_told_so_and_the_process_ends() {
    with_engine(READY, async |engine| {
        let served = Served::ready(engine, &[("model.py", CONTRACT), ("m.json", MODEL)], 1).await;
        let (status, body) = served.predict(&json!({ "input": "for ever" })).await;
        assert_eq!((status.as_u16(), &body["code"]), (504, &json!("PREDICTION_TIMEOUT")));
        let state = engine.exit_of(&served.spec.name()).await;
        assert!(matches!(state, ContainerState::Exited { code: 70, .. }), "{state:?}");
    })
    .await;
}
