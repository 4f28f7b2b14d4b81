//! Nothing that is logged on the way holds a secret.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use adapters::share::{AzureCredential, AzureSettings, ShareSettings};
use chassis::system::SystemClock;
use common::port::share::{self, Folder, Limits};
use testkit::azure_files::{Account, AzureFilesStandIn, shared_key::account_sas};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{ANOTHER_KEY, KEY, LATER, open, text};

/// Keeps all that is logged, at every level, by whomever.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_secret_is_logged() {
    let account = Account { name: "example".into(), key: KEY.into(), share: "code".into() };
    let server = AzureFilesStandIn::start(account, Arc::new(SystemClock)).await.unwrap();
    server.put("app/a", "x");
    let sas = account_sas("example", KEY, LATER);
    let signature = sas.rsplit_once("sig=").unwrap().1.to_owned();
    let settings = |endpoint: String, credential| AzureSettings {
        account: "example".to_owned(),
        name: "code".to_owned(),
        endpoint: Some(endpoint),
        credential,
    };
    let heard = Heard::default();
    let listening = tracing::subscriber::set_default(heard.clone());
    tracing::info!("somebody listens");
    let folder: Folder = "app".parse().unwrap();
    for credential in [KEY, ANOTHER_KEY].map(|key| AzureCredential::Key(text(key))) {
        let share = open(&ShareSettings::AzureFiles(settings(server.endpoint(), credential)));
        share::context(share.as_ref(), &folder, &Limits::default()).await.ok();
    }
    // The stand-in knows nothing of blobs: what it says is strange, and is logged.
    let token = || AzureCredential::Sas(text(&sas));
    server.be_busy(1);
    for settings in [
        ShareSettings::AzureFiles(settings(server.endpoint(), token())),
        ShareSettings::AzureBlob(settings(server.endpoint(), token())),
    ] {
        let share = open(&settings);
        share::context(share.as_ref(), &folder, &Limits::default()).await.ok();
    }
    drop(listening);
    let heard = heard.0.lock().unwrap().clone();
    assert!(heard.contains("somebody listens"), "the listener listens");
    let decoded = signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    for secret in [KEY, ANOTHER_KEY, signature.as_str(), decoded.as_str()] {
        assert!(!heard.contains(secret), "a secret is logged: {heard}");
    }
}
