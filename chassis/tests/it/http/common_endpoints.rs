//! What every service answers besides its own routes: its last lines of log, and which web pages may ask it.

use std::fs;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::part::SILENT_LOOPS;
use common::service::ServiceName;
use reqwest::Method;
use reqwest::header::{ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN};
use serde_json::Value;

use super::{pki, while_serving, while_serving_as, while_serving_with};

/// Lines `from` to `to` as a service might have written them.
fn lines(from: u32, to: u32) -> String {
    let lines = (from..=to).map(|number| format!("{{\"message\":\"line {number}\"}}\n"));
    lines.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn get_logs_returns_the_last_ten_lines_of_the_log_file_as_it_then_is() {
    let service = ServiceName::AppManager;
    let pki = pki(&[service]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    fs::write(&file, lines(1, 12)).unwrap();
    while_serving_as(service, pki.path(), Some(file.clone()), |plain, _| async move {
        let logs = async || {
            let answer = reqwest::get(format!("{plain}/get_logs")).await.unwrap();
            answer.json::<Value>().await.unwrap()["logs"].as_str().unwrap().to_owned()
        };
        assert_eq!(logs().await, lines(3, 12));
        fs::write(&file, lines(1, 30)).unwrap();
        assert_eq!(logs().await, lines(21, 30));
        fs::write(&file, lines(1, 2)).unwrap();
        assert_eq!(logs().await, lines(1, 2));
        fs::remove_file(&file).unwrap();
        assert_eq!(logs().await, "");
    })
    .await;
}

/// Asks as a browser does for a page of `origin`; with `wants`, whether it may use that method. Returns the status, the
/// origin that may read the answer, and the methods.
async fn ask(
    url: &str,
    origin: &str,
    wants: Option<Method>,
) -> (u16, Option<String>, Option<String>) {
    let method = if wants.is_some() { Method::OPTIONS } else { Method::GET };
    let mut request = reqwest::Client::new().request(method, url).header("origin", origin);
    if let Some(wants) = wants {
        request = request.header("access-control-request-method", wants.as_str());
    }
    let answer = request.send().await.unwrap();
    let header = |name| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
    let (origin, methods) =
        (header(ACCESS_CONTROL_ALLOW_ORIGIN), header(ACCESS_CONTROL_ALLOW_METHODS));
    (answer.status().as_u16(), origin, methods)
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_ask_and_of_others_not() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    while_serving(pki.path(), |plain, _| async move {
        let url = format!("{plain}/home");
        let ours = "https://example.org".to_owned();
        assert_eq!(ask(&url, &ours, None).await, (200, Some(ours.clone()), None));
        let (status, origin, methods) = ask(&url, &ours, Some(Method::POST)).await;
        assert_eq!((status, origin), (200, Some(ours)));
        assert!(methods.unwrap().contains("POST"));

        for wants in [None, Some(Method::POST)] {
            let (_, origin, _) = ask(&url, "https://example.com", wants).await;
            assert_eq!(origin, None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_loop_that_is_silent_is_named_wherever_one_looks() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    let lifecycle = Lifecycle::new();
    let told = lifecycle.clone();
    while_serving_with(lifecycle, pki.path(), |plain| async move {
        let get = async |path: &str| reqwest::get(format!("{plain}{path}")).await.unwrap();
        let beat = told.beat("orders");
        for path in ["/livez", "/readyz"] {
            let answer = get(path).await;
            assert_eq!(answer.status(), 200);
            assert!(!answer.headers().contains_key(SILENT_LOOPS));
        }
        let all = get("/readyz?verbose").await.text().await.unwrap();
        assert!(all.contains("[+] loop orders: heard of 0."), "{all}");
        beat.busy_for(Duration::ZERO);
        for path in ["/livez", "/health", "/healthCheck", "/readyz"] {
            let answer = get(path).await;
            assert_eq!(answer.status(), 503, "{path}");
            assert_eq!(answer.headers()[SILENT_LOOPS], "orders", "{path}");
        }
        let all = get("/readyz?verbose").await.text().await.unwrap();
        assert!(all.contains("[-] loop orders: heard of "), "{all}");
        let metrics = get("/metrics").await.text().await.unwrap();
        assert!(metrics.contains("service_loop_age_seconds{loop=\"orders\"} 0."), "{metrics}");
    })
    .await;
}
