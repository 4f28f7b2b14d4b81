//! A decision of the balance cycle: records the wanted number of replicas, and why. Nobody waits for it; the
//! deployment manager makes it so.

use chassis::records::{self, Stored};
use common::id::{Generation, MessageId, RequestId};
use common::message::Event;
use common::name::LegacyName;
use common::record::deployment::Deployment;
use common::record::owed::Owed;
use common::record::path;
use common::record::scale::{Decision, DecisionKind, Scale};
use common::topic::Topic;

use super::{ATTEMPTS, Error};
use crate::domain::balance::course::Draft;
use crate::domain::balance::known::Way;
use crate::reconcile::balance;
use crate::shared::Shared;

/// The verb of the event that tells a decision.
const VERB: &str = "balance app";

/// Writes a decision if what it was made from still stands, then takes in what stands.
pub(crate) async fn run(shared: &Shared, instance: &LegacyName, draft: Draft) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        match try_run(shared, instance, &draft).await {
            Err(err) if err.is_changed() => {}
            Err(err) => return Err(err),
            Ok(()) => return Ok(balance::take_in(shared, instance).await.map(drop)?),
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_run(shared: &Shared, instance: &LegacyName, draft: &Draft) -> Result<(), Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let Some(found) = balance::read(shared, instance).await? else { return Ok(()) };
    let is_still_so = found.known.wanted == draft.from
        && found.known.way != Way::Moving
        && found.standing_is_free();
    if !is_still_so {
        return Ok(());
    }
    let decision = draft.clone().at(shared.ports.clock.now());
    let version = found.scale.as_ref().map(|stored| stored.version);
    let scale = decided(&found.deployment, found.scale, &decision);
    let put = records::put(path::scale(instance), &scale, version);
    shared.seat.commit(vec![put]).await?;
    shared.metrics.decisions.with_label_values(&[decision.kind.as_str()]).inc();
    tracing::info!(
        instance.name = %instance,
        from = decision.from,
        to = decision.to,
        kind = decision.kind.as_str(),
        "the number of replicas was decided on: {}",
        decision.reason
    );
    shared.scale_wake.wake(instance.clone());
    Ok(())
}

fn decided(deployment: &Deployment, standing: Option<Stored<Scale>>, decision: &Decision) -> Scale {
    let standing = standing.map(|stored| stored.record);
    let generation = standing.as_ref().map_or(Generation(1), |old| old.generation.next());
    // Its own: nothing is remembered under it, so nobody is told of its end.
    let purpose = format!("load-balancer balance {generation} {}", decision.at);
    let request = deployment.request.derive(&purpose);
    let mut scale = Scale {
        schema: 1,
        instance: deployment.instance.clone(),
        replicas: decision.to,
        generation,
        deployment: deployment.generation,
        request,
        owed: Vec::new(),
        decisions: Vec::new(),
    };
    if let Some(old) = standing {
        scale.owed = old.owed;
        scale.decisions = old.decisions;
    }
    scale.owed.push(told(&scale.instance, request, decision));
    scale.decided(decision.clone());
    scale
}

/// The event on `first_topic`: what was decided in its text, the numbers in its details.
fn told(instance: &LegacyName, request: RequestId, decision: &Decision) -> Owed {
    let (verb, text) = (VERB.to_owned(), format!("{instance}${}", decision.to));
    let event = if decision.kind == DecisionKind::Brake {
        Event::NotDone { verb, text, error: decision.reason.clone() }
    } else {
        Event::Done { verb, text }
    };
    Owed {
        message_id: MessageId(request.derive("told").0),
        key: instance.to_string(),
        envelope: event.envelope(Topic::LoadBalancer, request),
        details: serde_json::to_string(decision).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(kind: DecisionKind, to: u32) -> Decision {
        Decision {
            at: jiff::Timestamp::UNIX_EPOCH,
            from: 1,
            to,
            kind,
            reason: "why".to_owned(),
            load: None,
            fruitless: 0,
        }
    }

    #[test]
    fn a_decision_is_told_in_a_form_that_everybody_can_read() {
        let request = RequestId(uuid::Uuid::nil());
        let text = |kind, to| {
            let told = told(&"shop".parse().unwrap(), request, &decision(kind, to));
            assert_eq!(Event::decode(&told.envelope.msg).unwrap().encode(), told.envelope.msg);
            told.envelope.msg
        };
        assert_eq!(text(DecisionKind::Processor, 2), "done balance app$shop$2");
        assert_eq!(text(DecisionKind::Brake, 1), "not done balance app$shop$1 Error - why");
    }
}
