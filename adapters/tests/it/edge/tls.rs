//! Host names over TLS: certificates that come, change and go while visitors are there.

mod limits;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::port::edge::{CertificateSet, Challenge, EdgeOptions};
use common::port::{Edge as _, EdgeCertificates as _};
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Client, Method, Response, Version};
use testkit::contract::edge::{Apps as _, table};
use testkit::contract::edge_certificates::{holds, set};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::{PATIENCE, World, ask_with, start, with_edge, with_edge_of};

const SHOP: &str = "shop.example.org";

impl World {
    /// A visitor who trusts the certificates of these sets, and makes a connection for each request.
    fn visitor(&self, trusts: &[&CertificateSet]) -> Client {
        let certificates = trusts.iter().flat_map(|set| &set.certificates);
        let certificates: Vec<Certificate> = certificates
            .map(|one| Certificate::from_pem(one.papers.certificate.as_bytes()).unwrap())
            .collect();
        Client::builder()
            .tls_certs_only(certificates)
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE)
            .resolve(SHOP, self.tls_address())
            .resolve("other.example.org", self.tls_address())
            .build()
            .unwrap()
    }

    fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls_port).into()
    }

    fn secure(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.tls_port)
    }

    async fn visit(&self, visitor: &Client, host: &str) -> reqwest::Result<Response> {
        visitor.get(self.secure(host, "/")).send().await
    }

    async fn serve_shop(&self) {
        let app = self.apps.start(204).await;
        self.edge.load(&table(1, 1, &[("shop", self.first, &[app])])).await.unwrap();
    }

    /// What a visitor without TLS is told.
    async fn plain(&self, path: &str) -> String {
        ask_with(self.host_port, &format!("GET {path} HTTP/1.1\r\nHost: {SHOP}\r\n"), "").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_keeps_the_contract_of_certificates() {
    with_edge(async |world| holds(&world.edge).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_has_a_certificate_is_served_over_tls_and_http_2_and_its_app_is_told() {
    with_edge(async |world| {
        let protocols = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&protocols);
        let app = start(move |mut visit| {
            let seen = Arc::clone(&seen);
            async move {
                let told = |name| visit.header(name).unwrap_or_default().to_owned();
                let told = (told("x-forwarded-proto"), told("x-forwarded-port"), told("host"));
                seen.lock().await.push(told);
                visit.answer(204, "").await;
            }
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let certificates = set(1, 1, &[SHOP]);
        world.edge.serve(&certificates).await.unwrap();
        let answer = world.visit(&world.visitor(&[&certificates]), SHOP).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (204, Version::HTTP_2));
        let former = Client::builder()
            .tls_certs_only([Certificate::from_pem(
                certificates.certificates[0].papers.certificate.as_bytes(),
            )
            .unwrap()])
            .http1_only()
            .resolve(SHOP, world.tls_address())
            .build()
            .unwrap();
        let answer = world.visit(&former, SHOP).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (204, Version::HTTP_11));
        let port = world.tls_port.to_string();
        let told = ("https".to_owned(), port.clone(), format!("{SHOP}:{port}"));
        assert_eq!(*protocols.lock().await, [told.clone(), told]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_has_no_certificate_is_shown_none_and_disturbs_nobody() {
    with_edge(async |world| {
        world.serve_shop().await;
        let both = set(1, 1, &[SHOP, "other.example.org"]);
        let mut one = both.clone();
        one.certificates.truncate(1);
        world.edge.serve(&one).await.unwrap();
        let visitor = world.visitor(&[&both]);
        let refused = world.visit(&visitor, "other.example.org").await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
        assert!(format!("{refused:?}").contains("HandshakeFailure"), "{refused:?}");
        assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_without_tls_are_sent_to_it_where_that_is_asked_for() {
    with_edge(async |world| {
        world.serve_shop().await;
        let mut certificates = set(1, 1, &[SHOP]);
        world.edge.serve(&certificates).await.unwrap();
        let answer = world.plain("/basket?item=1%202").await;
        assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
        let there = format!("Location: {}\r\n", world.secure(SHOP, "/basket?item=1%202"));
        assert!(answer.contains(&there), "{answer}");
        // The port for TLS itself says the same to who speaks without.
        let lines = format!("GET /basket HTTP/1.1\r\nHost: {SHOP}\r\n");
        let answer = ask_with(world.tls_port, &lines, "").await;
        assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");

        certificates.generation = certificates.generation.next();
        certificates.certificates[0].redirect = false;
        world.edge.serve(&certificates).await.unwrap();
        let until = Instant::now() + PATIENCE;
        while !world.plain("/").await.starts_with("HTTP/1.1 204") {
            assert!(Instant::now() < until, "visitors are still sent on");
            sleep(Duration::from_millis(50)).await;
        }
        let visitor = world.visitor(&[&certificates]);
        assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_gets_our_answers_without_tls_and_an_app_may_give_its_own() {
    with_edge(async |world| {
        let app = world.apps.start(207).await;
        let mut shop = table(1, 1, &[("shop", world.first, &[app])]);
        // One that asks for more than a way in goes another way through the edge.
        shop.routes[0].options.connections = Some(100);
        world.edge.load(&shop).await.unwrap();
        let mut certificates = set(1, 1, &[SHOP]);
        let (token, answer) = ("a_b-C1".to_owned(), "a_b-C1.thumbprint".to_owned());
        certificates.challenges.push(Challenge { token, answer });
        world.edge.serve(&certificates).await.unwrap();
        let told = world.plain("/.well-known/acme-challenge/a_b-C1").await;
        assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("\r\n\r\na_b-C1.thumbprint"));
        let theirs = world.plain("/.well-known/acme-challenge/other").await;
        assert!(theirs.starts_with("HTTP/1.1 207"), "{theirs}");
        assert!(world.plain("/").await.starts_with("HTTP/1.1 308"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_traffic_and_no_visitor_notices() {
    with_edge(async |world| {
        world.serve_shop().await;
        let sets: Vec<CertificateSet> = (1..=12).map(|n| set(1, n, &[SHOP])).collect();
        world.edge.serve(&sets[0]).await.unwrap();
        let visitor = world.visitor(&sets.iter().collect::<Vec<_>>());
        let kept = Client::builder()
            .tls_certs_only([Certificate::from_pem(
                sets[0].certificates[0].papers.certificate.as_bytes(),
            )
            .unwrap()])
            .resolve(SHOP, world.tls_address())
            .build()
            .unwrap();
        assert_eq!(world.visit(&kept, SHOP).await.unwrap().status(), 204);
        let is_over = AtomicBool::new(false);
        let crowd = (0..4).map(async |_| {
            let mut count = 0;
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
                count += 1;
            }
            count
        });
        let story = async {
            for next in &sets[1..] {
                sleep(Duration::from_millis(100)).await;
                world.edge.serve(next).await.unwrap();
            }
            is_over.store(true, Ordering::SeqCst);
        };
        let (counts, ()) = futures::join!(futures::future::join_all(crowd), story);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        // A connection from before goes on; who comes now is shown the newest, and only that.
        assert_eq!(world.visit(&kept, SHOP).await.unwrap().status(), 204);
        let newest = world.visitor(&[sets.last().unwrap()]);
        assert_eq!(world.visit(&newest, SHOP).await.unwrap().status(), 204);
        let outdated = world.visitor(&[&sets[0]]);
        assert!(world.visit(&outdated, SHOP).await.unwrap_err().is_connect());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_starts_again_shows_its_certificates_while_nothing_else_runs() {
    with_edge(async |world| {
        world.serve_shop().await;
        let certificates = set(3, 4, &[SHOP]);
        world.edge.serve(&certificates).await.unwrap();
        let file = world.folder.path().join("table/certificates.json");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        world.restart().await;
        let visitor = world.visitor(&[&certificates]);
        assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
        assert!(world.plain("/").await.starts_with("HTTP/1.1 308"));
        let served = world.edge.served().await.unwrap();
        assert_eq!((served.epoch.0, served.generation.0), (3, 4));
        assert!(world.edge.status().await.unwrap().damage.is_empty());

        world.damage("certificates.json");
        world.restart().await;
        assert!(world.visit(&visitor, SHOP).await.unwrap_err().is_connect());
        assert!(world.plain("/").await.starts_with("HTTP/1.1 204"));
        let damage = world.edge.status().await.unwrap().damage;
        let is_told = damage.len() == 1 && damage[0].starts_with("certificates.json ");
        assert!(is_told && !damage[0].contains("KEY"), "{damage:?}");
        world.edge.serve(&certificates).await.unwrap();
        assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
        assert!(world.edge.status().await.unwrap().damage.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_body_without_a_length_reaches_no_app_that_limits_it() {
    with_edge(async |world| {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let app = start(move |mut visit| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { visit.answer(204, "").await }
        })
        .await;
        let mut shop = table(1, 1, &[("shop", world.first, &[app])]);
        shop.routes[0].options = EdgeOptions { max_body_bytes: Some(10), ..EdgeOptions::default() };
        world.edge.load(&shop).await.unwrap();
        let certificates = set(1, 1, &[SHOP]);
        world.edge.serve(&certificates).await.unwrap();
        let visitor = world.visitor(&[&certificates]);
        let url = world.secure(SHOP, "/");
        let streamed = |bytes: usize| {
            let piece: Result<Vec<u8>, Infallible> = Ok(vec![b'x'; bytes]);
            Body::wrap_stream(futures::stream::iter([piece]))
        };
        let limited = async || {
            let answer = visitor.post(&url).body(vec![b'x'; 11]).send().await.unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            answer.status() == 413
        };
        timeout(PATIENCE, async { while !limited().await {} }).await.expect("the limit counts");
        asked.store(0, Ordering::SeqCst);
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let asks = visitor.request(method.clone(), &url).body(streamed(5));
            let answer = asks.send().await.unwrap();
            assert_eq!(answer.status(), 411, "{method}");
            assert!(answer.text().await.unwrap().contains("LENGTH_REQUIRED"));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        // Without a body there is nothing to measure.
        assert_eq!(visitor.get(&url).send().await.unwrap().status(), 204);
        assert_eq!(visitor.post(&url).body(vec![b'x'; 10]).send().await.unwrap().status(), 204);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_host_name_is_served_and_its_visitors_are_sent_to_tls() {
    with_edge(async |world| {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        world.edge.serve(&set(1, 1, &[&name, SHOP])).await.unwrap();
        for name in [&name, SHOP] {
            let lines = format!("GET / HTTP/1.1\r\nHost: {name}\r\n");
            let answer = ask_with(world.host_port, &lines, "").await;
            assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_does_not_fit_leaves_the_one_before_at_the_next_start_too() {
    with_edge(async |world| {
        world.serve_shop().await;
        let mut first = set(1, 1, &[SHOP]);
        let chain = first.certificates[0].papers.certificate.clone();
        // Two of such a kind, one right after the other, are more than the edge has room for.
        let mut large = first.clone();
        large.certificates[0].papers.certificate = chain.repeat(4500 / chain.len());
        let of = |generation: u64, kind: &str| {
            let mut set = large.clone();
            set.generation.0 = generation;
            for number in 0..1400 {
                let mut one = large.certificates[0].clone();
                one.host = format!("{kind}{number}.example.org").parse().unwrap();
                one.redirect = false;
                set.certificates.push(one);
            }
            set
        };
        world.edge.serve(&of(1, "a")).await.unwrap();
        let mut other = of(2, "b");
        other.certificates.remove(0);
        let refused = world.edge.serve(&other).await.unwrap_err();
        assert!(!refused.is_retryable(), "{refused:?}");
        let visitor = world.visitor(&[&first]);
        let is_whole = async || {
            assert_eq!(world.visit(&visitor, SHOP).await.unwrap().status(), 204);
            assert!(world.plain("/").await.starts_with("HTTP/1.1 308"));
            let served = world.edge.served().await.unwrap();
            assert_eq!((served.generation.0, served.hosts.len()), (1, 1401));
        };
        is_whole().await;
        world.restart().await;
        is_whole().await;
        assert!(world.edge.status().await.unwrap().damage.is_empty());
        first.generation.0 = 3;
        world.edge.serve(&first).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_told_the_port_that_its_visitors_see() {
    with_edge_of(&["EDGE_TLS_ANNOUNCED=443"], async |world| {
        let app = start(|mut visit| async move {
            let port = visit.header("x-forwarded-port").unwrap_or_default().to_owned();
            visit.answer(200, &port).await;
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut certificates = set(1, 1, &[SHOP]);
        certificates.certificates[0].redirect = false;
        world.edge.serve(&certificates).await.unwrap();
        let visitor = world.visitor(&[&certificates]);
        let answer = world.visit(&visitor, SHOP).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "443");
        let told = world.plain("/").await;
        assert!(told.ends_with(&format!("\r\n\r\n{}", world.host_port)), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_for_tls_is_told_where_nobody_set_it() {
    // Whoever has it, this test or another program.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 8443));
    with_edge_of(&["EDGE_TLS_PORT="], async |world| {
        let damage = world.edge.status().await.unwrap().damage;
        assert!(damage.iter().any(|what| what.starts_with("port 8443 is taken")), "{damage:?}");
    })
    .await;
}
