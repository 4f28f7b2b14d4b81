//! Requests that fail while other routes come and go.

use std::time::Duration;

use crate::figure::Figure;
use crate::report::progress;
use crate::stage::{ROUTES, Stage};
use crate::{crowd, http, routes};

const CLIENTS: usize = 16;
const REGISTRATIONS: u16 = 20;
/// A front door answers as soon as its registration has.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Each registration is used once before it goes, so that what is counted is sure to have happened.
pub(crate) async fn measure(stage: &Stage) -> anyhow::Result<Figure> {
    progress(&format!("registrations: {REGISTRATIONS} under {CLIENTS} clients"));
    let (changed, tally) = crowd::during(stage.front, "bench", CLIENTS, change(stage)).await;
    changed?;
    tally.none_failed("failed_in_registrations")
}

async fn change(stage: &Stage) -> anyhow::Result<()> {
    for number in 0..REGISTRATIONS {
        let name = format!("{ROUTES}other-{number}");
        let front = routes::register(&name, stage.other(number)).await?;
        http::first_200(front, "bench", ANSWERS_WITHIN).await?;
        routes::deregister(&name).await?;
    }
    Ok(())
}
