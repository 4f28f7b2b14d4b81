//! From the word that an app has another replica to the first answer of that one at the front door, over a change of
//! a plain NGINX by reload; with one app, with a hundred, and with five hundred.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, timeout};

use crate::figure::{Figure, Goal, milliseconds};
use crate::http::{self, Connection};
use crate::reloaded::{self, Reloaded};
use crate::stage::{ROUTES, Stage};
use crate::{kernel, routes};

const CROWDS: [u16; 3] = [1, 100, 500];
const PAIRS: u16 = 15;
const GOAL: Goal = Goal::AtMost(1.3);
const WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn measure(stage: &Stage, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let mut apps = 1;
    for crowd in CROWDS {
        stage.crowd(apps..crowd).await?;
        apps = crowd;
        figures.push(with(stage, apps).await?);
    }
    Ok(())
}

async fn with(stage: &Stage, apps: u16) -> anyhow::Result<Figure> {
    let mut reloaded = Reloaded::start(stage, apps).await?;
    let mut pairs = Vec::new();
    // The first pair warms both sides up and is not counted.
    for pair in 0..=PAIRS {
        kernel::settled().await?;
        let replica = stage.other(pair);
        let name = format!("{ROUTES}route");
        let change = async { routes::register(&name, replica).await.map(drop) };
        let ours = until_served(stage.front, replica, change).await?;
        let theirs = until_served(reloaded::AT, replica, reloaded.change(replica)).await?;
        let (ours, theirs) =
            (milliseconds(ours), milliseconds(theirs.saturating_sub(reloaded.round_trip())));
        if pair > 0 {
            pairs.push((ours, theirs));
        }
    }
    reloaded.end().await?;
    let figure = Figure::of_pairs(&format!("change_ms_with_{apps}_apps"), &pairs, GOAL);
    Ok(figure.with_note(format!("{} pairs; registration over HTTP, durable", pairs.len())))
}

/// Asked without pause while it changes, so that the first answer is not missed.
async fn until_served(
    at: SocketAddr,
    replica: SocketAddr,
    change: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let served = async {
        let sign = format!(" at {}\n", replica.port());
        let mut connection = Connection::open(at).await?;
        loop {
            let answer = connection.ask(&http::get("bench")).await;
            let said = String::from_utf8_lossy(connection.body());
            match answer {
                Ok(answer) if answer.status == 200 && said.ends_with(&sign) => {
                    return anyhow::Ok(began.elapsed());
                }
                Ok(answer) if !answer.closes => {}
                // A reload ends connections.
                Ok(_) | Err(_) => connection = Connection::open(at).await?,
            }
        }
    };
    let (changed, served) = tokio::join!(change, timeout(WITHIN, served));
    changed?;
    let served = served??;
    ensure!(!served.is_zero(), "it was there before");
    Ok(served)
}
