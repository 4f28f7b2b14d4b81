//! What everybody who looks at services must see.

use std::time::Duration;

use async_trait::async_trait;
use common::port::Probes;
use common::port::probes::{Ill, Seen};
use tokio::time::Instant;

use crate::probes::Service;

const WITHIN: Duration = Duration::from_millis(500);

/// Starts services that can be looked at.
#[async_trait]
pub trait Services: Send + Sync {
    /// Starts one; returns its `ip:port`.
    async fn start(&self, service: Service) -> String;

    /// An `ip:port` where nobody listens.
    async fn nobody(&self) -> String;
}

/// Runs the whole contract.
pub async fn holds(probes: &dyn Probes, services: &dyn Services) {
    let seen = async |service: Service| {
        let address = services.start(service).await;
        probes.look(&address, WITHIN).await
    };
    let answers = |status: u16, text: &str| Service::Answers(status, text.to_owned());
    assert_eq!(seen(Service::Well).await, Seen::Well);
    assert_eq!(seen(Service::WellByDocument000).await, Seen::Well);
    assert_eq!(seen(answers(200, "Ok\n")).await, Seen::Well);
    for strange in ["", "ok", "OK", "Ok Ok", &"Ok".repeat(100_000)] {
        assert_eq!(seen(answers(200, strange)).await, Seen::Ill(Ill::Strange));
    }
    // A redirect is an answer like any other, and not followed.
    for status in [204, 302, 404, 500, 503] {
        assert_eq!(seen(answers(status, "Ok")).await, Seen::Ill(Ill::Status(status)));
    }
    let nobody = services.nobody().await;
    assert_eq!(probes.look(&nobody, WITHIN).await, Seen::Ill(Ill::Silent));
    let began = Instant::now();
    assert_eq!(seen(Service::Hangs).await, Seen::Ill(Ill::Late));
    assert!(began.elapsed() < WITHIN * 3, "{:?}", began.elapsed());
    for wrong in ["", "192.0.2.1", "192.0.2.1:x", "192.0.2.1:80/../x", "a@192.0.2.1:80"] {
        assert_eq!(probes.look(wrong, WITHIN).await, Seen::Unknown, "{wrong}");
    }
}
