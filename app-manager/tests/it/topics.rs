//! Reading what travels on the bus.

use std::time::Duration;

use bytes::Bytes;
use common::message::header;
use common::port::bus::{Header, Record};
use common::topic::Topic;
use futures::{Stream, StreamExt as _};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::bus::Availability;
use tokio::time::timeout;

use crate::world::{Api, World, admin};

const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/api/v1/messages/LoadBalancer";

async fn open(api: &Api, path: &str) -> Response {
    let response = api.request(Method::GET, path, &admin()).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    response
}

/// The records that come next, so many of them; empty lines are signs of life.
async fn records(
    pieces: &mut (impl Stream<Item = reqwest::Result<Bytes>> + Unpin),
    count: usize,
) -> Vec<Value> {
    let mut text = String::new();
    let whole = |text: &str| text.split_inclusive('\n').filter(|line| line.len() > 1).count();
    while whole(&text) < count || !text.ends_with('\n') {
        let piece = timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn send(api: &Api, msg: &str) {
    let message = json!({ "to_topic": "LoadBalancer", "msg": msg, "key": "shop" });
    api.post("/api/v1/messages", &admin(), message).await.ok();
}

#[tokio::test]
async fn what_is_sent_by_hand_is_read_from_the_start_from_an_offset_and_as_it_comes() {
    let world = World::new();
    world
        .during(async |api| {
            send(&api, "scale app$shop$1").await;
            send(&api, "scale app$shop$2").await;
            let start = open(&api, &format!("{PATH}?from=start")).await;
            assert_eq!(start.headers()["x-offset"], "0");
            let mut start = start.bytes_stream();
            let read = records(&mut start, 2).await;
            assert_eq!([&read[0]["offset"], &read[1]["offset"]], [&json!(0), &json!(1)]);
            assert_eq!((&read[0]["key"], &read[0]["reason"]), (&json!("shop"), &Value::Null));
            let payload: Value =
                serde_json::from_str(read[1]["payload"].as_str().unwrap()).unwrap();
            assert_eq!(payload["msg"], "scale app$shop$2");

            let end = open(&api, PATH).await;
            assert_eq!(end.headers()["x-offset"], "2");
            let mut end = end.bytes_stream();
            let mut second = open(&api, &format!("{PATH}?from=1")).await.bytes_stream();
            send(&api, "scale app$shop$3").await;
            let offsets = |read: Vec<Value>| -> Vec<i64> {
                read.iter().map(|line| line["offset"].as_i64().unwrap()).collect()
            };
            assert_eq!(offsets(records(&mut start, 1).await), [2]);
            assert_eq!(offsets(records(&mut end, 1).await), [2]);
            assert_eq!(offsets(records(&mut second, 2).await), [1, 2]);
        })
        .await;
}

#[tokio::test]
async fn dead_letters_are_read_with_their_reason() {
    let world = World::new();
    let reason = Header {
        name: header::REASON.to_owned(),
        value: Bytes::from_static(b"MSG_MALFORMED: it is not JSON"),
    };
    let record = Record { key: None, headers: vec![reason], payload: Bytes::from_static(b"\xff{") };
    world.bus.inject_record(Topic::LoadBalancer.dead_letter(), record);
    world
        .during(async |api| {
            let path = "/api/v1/messages/LoadBalancer.dlq?from=start";
            let mut pieces = open(&api, path).await.bytes_stream();
            let read = records(&mut pieces, 1).await;
            assert_eq!(read[0]["reason"], "MSG_MALFORMED: it is not JSON");
            assert_eq!(read[0]["payload"], "\u{fffd}{");
        })
        .await;
}

#[tokio::test]
async fn a_topic_or_a_beginning_that_does_not_exist_is_refused_and_a_bus_that_is_away_is_told() {
    let world = World::new();
    world
        .during(async |api| {
            for topic in ["Nowhere", "loadbalancer", "Nowhere.dlq", "..%2Fusers"] {
                let path = format!("/api/v1/messages/{topic}");
                assert_eq!(
                    api.get(&path, &admin()).await.told(),
                    (404, "TOPIC_UNKNOWN"),
                    "{topic}"
                );
            }
            for query in ["from=middle", "from=-1", "from=", "form=start"] {
                let refused = api.get(&format!("{PATH}?{query}"), &admin()).await;
                assert_eq!(refused.told(), (422, "QUERY_INVALID"), "{query}");
            }
            world.bus.set_availability(Availability::Down);
            assert_eq!(api.get(PATH, &admin()).await.told(), (503, "BUS_UNAVAILABLE"));
        })
        .await;
}

#[tokio::test]
async fn so_many_read_at_once_and_no_more() {
    let world = World::new();
    world
        .during(async |api| {
            let mut readers = Vec::new();
            for _ in 0..16 {
                readers.push(open(&api, PATH).await);
            }
            assert_eq!(api.get(PATH, &admin()).await.told(), (503, "BUSY"));
        })
        .await;
}

#[tokio::test]
async fn a_service_that_stops_ends_its_answers() {
    let world = World::new();
    world
        .until_stopped(async |api, lifecycle| {
            let mut pieces = open(&api, PATH).await.bytes_stream();
            lifecycle.stop();
            let ended = timeout(PATIENCE, async {
                while let Some(piece) = pieces.next().await {
                    piece.unwrap();
                }
            });
            ended.await.expect("the answer ends whole");
        })
        .await;
}
