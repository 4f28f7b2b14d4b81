//! Looking at everything once: services directly, apps through their front door, nodes as the node manager
//! has judged them. Each look has a deadline, and only so many are under way at once.

use chassis::lifecycle::Beat;
use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::probes::Seen;
use common::port::routes;
use common::record::node::Verdict;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;
use tokio::time::{Instant, timeout};

use crate::discover::{Found, FoundApp, Place};
use crate::domain::board::Round;
use crate::domain::finding::{Complaint, Finding};
use crate::domain::target::{Kind, Target};
use crate::shared::Shared;

/// Document 001's name of the node manager: what it said is old where it does not answer.
const NODE_MANAGER: &str = "node_manager";

/// Whether apps are looked at in this round: they are looked at less often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apps {
    Asked,
    Left,
}

/// One look at each target.
pub(crate) async fn at_all(shared: &Shared, found: &Found, apps: Apps, beat: &Beat) -> Round {
    let services = found.services.iter().map(|(target, place)| -> BoxFuture<'_, _> {
        Box::pin(async move { (target.clone(), at_service(shared, place).await) })
    });
    let asked = found.apps.iter().filter(|_| apps == Apps::Asked);
    let asked = asked.map(|(name, app)| -> BoxFuture<'_, _> {
        Box::pin(async move { (app.target(name), at_app(shared, name, app).await) })
    });
    let looks: Vec<BoxFuture<'_, (Target, Finding)>> = services.chain(asked).collect();
    let mut looks = stream::iter(looks).buffer_unordered(shared.config.at_once);
    let mut round = Round::new();
    while let Some((target, finding)) = looks.next().await {
        beat.now();
        count(shared, &target, finding);
        round.insert(target, Some(finding));
    }
    if apps == Apps::Left {
        round.extend(found.apps.iter().map(|(name, app)| (app.target(name), None)));
    }
    let is_judged = round.iter().any(|(target, finding)| {
        target.kind() == Some(Kind::Service)
            && target.name() == NODE_MANAGER
            && *finding == Some(Finding::Well)
    });
    for (target, verdict) in &found.nodes {
        let finding = if is_judged { of_node(*verdict) } else { Finding::Unknown };
        count(shared, target, finding);
        round.insert(target.clone(), Some(finding));
    }
    round
}

fn count(shared: &Shared, target: &Target, finding: Finding) {
    let outcome = match finding {
        Finding::Well => "well",
        Finding::Bad(_) => "bad",
        Finding::Unknown => "unknown",
    };
    shared.metrics.looks.with_label_values(&[target.kind_name(), outcome]).inc();
}

async fn at_service(shared: &Shared, place: &Place) -> Finding {
    let began = Instant::now();
    let (probes, within) = (shared.ports.probes.as_ref(), shared.config.within);
    let seen = match place {
        Place::Plain(address) => probes.look(address, within).await,
        Place::Inside(address) => probes.look_inside(*address, within).await,
    };
    shared.metrics.looked(Kind::Service, began.elapsed());
    match seen {
        Seen::Well => Finding::Well,
        Seen::Ill(ill) => Finding::Bad(Complaint::Service(ill)),
        Seen::Unknown => Finding::Unknown,
    }
}

async fn at_app(shared: &Shared, name: &LegacyName, app: &FoundApp) -> Finding {
    let began = Instant::now();
    let probe = shared.ports.routes.probe(name, app.asked_at());
    let asked = timeout(shared.config.app_within, probe).await;
    shared.metrics.looked(Kind::App, began.elapsed());
    match asked {
        Ok(answer) => of_app(answer, app),
        // The load balancer did not answer: of the app nothing was learned.
        Err(_) => Finding::Unknown,
    }
}

/// Any status but those by which the edge says that it reached nobody, or that nobody answered in time, is the app's own. Who
/// never said where it answers in time may be slow and work.
fn of_app(answer: Result<Option<u16>, routes::Error>, app: &FoundApp) -> Finding {
    match answer {
        Ok(Some(504)) if !app.says_path() => Finding::Bad(Complaint::Slow),
        Ok(Some(status @ (502..=504))) => Finding::Bad(Complaint::NoReplica(status)),
        Ok(Some(_)) => Finding::Well,
        Ok(None) => Finding::Bad(Complaint::NoEdge),
        Err(routes::Error::Failed(failure)) if failure.code == FailureCode::RouteFailed => {
            Finding::Bad(Complaint::NoEdge)
        }
        Err(routes::Error::Failed(_) | routes::Error::Unavailable(_) | routes::Error::Stale(_)) => {
            Finding::Unknown
        }
    }
}

fn of_node(verdict: Option<Verdict>) -> Finding {
    match verdict {
        Some(Verdict::Live | Verdict::Draining) => Finding::Well,
        Some(Verdict::Dead) => Finding::Bad(Complaint::NodeDead),
        Some(Verdict::Suspect) | None => Finding::Unknown,
    }
}
