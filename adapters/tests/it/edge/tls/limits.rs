//! What single apps ask of the edge holds over HTTP/2 too, where many requests share a connection.

use std::sync::Arc;
use std::time::Duration;

use common::port::edge::EdgeOptions;
use common::port::{Edge as _, EdgeCertificates as _};
use futures::future::join_all;
use reqwest::{Certificate, Client, Version};
use testkit::contract::edge::table;
use testkit::contract::edge_certificates::set;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::super::{PATIENCE, World, start_app, with_edge};
use super::SHOP;

/// An app that answers once per permit and asks for this; and a visitor with one connection to it, once that counts.
#[expect(clippy::indexing_slicing, reason = "the sets are made here")]
async fn asking(world: &World, permits: &Arc<Semaphore>, options: EdgeOptions) -> Client {
    let app = start_app(204, Arc::clone(permits)).await;
    let mut shop = table(1, 1, &[("shop", world.first, &[app])]);
    shop.routes[0].options = options;
    world.edge.load(&shop).await.unwrap();
    let certificates = set(1, 1, &[SHOP]);
    world.edge.serve(&certificates).await.unwrap();
    let trusted = certificates.certificates[0].papers.certificate.as_bytes();
    // Options count within a second.
    sleep(Duration::from_millis(1100)).await;
    Client::builder()
        .tls_certs_only([Certificate::from_pem(trusted).unwrap()])
        .http2_prior_knowledge()
        .timeout(PATIENCE)
        .resolve(SHOP, world.tls_address())
        .build()
        .unwrap()
}

async fn status(world: &World, visitor: &Client) -> u16 {
    let answer = visitor.get(world.secure(SHOP, "/")).send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_connection_have_the_bound_of_their_app_and_give_their_places_back() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(1));
        let options = EdgeOptions { connections: Some(2), ..EdgeOptions::default() };
        let visitor = asking(world, &permits, options).await;
        assert_eq!(status(world, &visitor).await, 204);
        let over = async || {
            let asked = (0..6).map(|_| timeout(Duration::from_secs(2), status(world, &visitor)));
            let answers = join_all(asked).await;
            answers.into_iter().filter(|answer| matches!(answer, Ok(503))).count()
        };
        // Two are under way and are given up by their visitor; the others are refused at once.
        assert_eq!(over().await, 4);
        let again = async { while over().await != 4 {} };
        timeout(PATIENCE, again).await.expect("who gave up has left his place");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_connection_have_the_rate_of_their_app() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let options = EdgeOptions { requests_per_second: Some(3), ..EdgeOptions::default() };
        let visitor = asking(world, &permits, options).await;
        assert_eq!(status(world, &visitor).await, 204);
        let answers = join_all((0..12).map(|_| status(world, &visitor))).await;
        let refused = answers.iter().filter(|status| **status == 429).count();
        // At most three in each of the two seconds that they may touch.
        assert!((6..=11).contains(&refused), "{answers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_connection_is_given_up_where_its_replica_is_silent_for_too_long() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let options = EdgeOptions { timeout_seconds: Some(1), ..EdgeOptions::default() };
        let visitor = asking(world, &permits, options).await;
        assert_eq!(status(world, &visitor).await, 504);
    })
    .await;
}
