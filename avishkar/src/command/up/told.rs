//! What whoever starts the platform is told: what it waits for, and that it is there.

use std::path::Path;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::process::Roster;
use common::service::ServiceName;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::doctor;
use crate::notify::Notifier;
use crate::output::Output;

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Nobody likes to wait longer without a word.
const SILENT_FOR: Duration = Duration::from_secs(5);

/// The platform that is told of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Platform<'a> {
    /// `ip:port` of the app manager.
    pub(super) server: &'a str,
    pub(super) data: &'a Path,
}

/// Says once that every service is ready, to people and to the supervisor, and before what keeps it; does what is to be
/// done then; says for ever that the process lives.
pub(super) async fn how_it_is(
    roster: &Roster,
    platform: Platform<'_>,
    output: Output,
    once_ready: impl Future<Output = ()>,
) {
    let supervisor = Notifier::of_process();
    let lives =
        || roster.lifecycles().iter().all(|(_, lifecycle)| lifecycle.silent_loops().is_empty());
    let telling = async {
        until_ready(roster, &supervisor, output).await;
        doctor::note_end(platform.data, None);
        // Nobody reads it: the platform runs all the same.
        drop(tell(platform, output));
        once_ready.await;
        roster.stopping().await;
        supervisor.stopping();
    };
    futures::join!(telling, supervisor.keep_alive(lives));
}

async fn until_ready(roster: &Roster, supervisor: &Notifier, output: Output) {
    let began = Instant::now();
    let mut said = began;
    while let Some(waiting) = waits_for(&roster.lifecycles()) {
        if said.elapsed() > SILENT_FOR {
            output.progress(&format!("waiting: {waiting}"));
            supervisor.status(&waiting);
            said = Instant::now();
        }
        sleep(LOOK_EVERY).await;
    }
    supervisor.ready();
    let took = began.elapsed().as_millis();
    tracing::info!(took_ms = u64::try_from(took).unwrap_or(u64::MAX), "ready");
}

/// The first condition that does not hold.
fn waits_for(lifecycles: &[(ServiceName, Lifecycle)]) -> Option<String> {
    lifecycles.iter().find_map(|(service, lifecycle)| {
        let readiness = lifecycle.readiness();
        let failing = readiness.into_iter().find_map(|(name, held)| Some((name, held.err()?)));
        failing.map(|(name, why)| format!("{service}, {name}: {why}"))
    })
}

fn tell(Platform { server, data }: Platform<'_>, output: Output) -> anyhow::Result<()> {
    let token = data.join("app-manager").join("one-time-token");
    let token = token.exists().then(|| token.display().to_string());
    let said = json!({
        "ready": true, "server": format!("http://{server}"), "data": data, "one_time_token_file": token,
    });
    let mut text = format!(
        "Avishkar is ready at http://{server}; it keeps everything in {}.\n",
        data.display()
    );
    if let Some(token) = &token {
        text.push_str(&format!(
            "  first, become its admin:  avishkar login --one-time-token-file {token}\n"
        ));
    }
    text.push_str("  deploy a folder or a zip: avishkar deploy FOLDER\n");
    text.push_str("  Ctrl-C ends the platform; apps go on. `avishkar down` ends both.");
    output.answer(&said, &text)
}
