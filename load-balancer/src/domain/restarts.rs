//! Which replicas of a route were started again because they were ill: what agents say of it becomes decisions in the route's
//! record, each once, and messages. It decides nothing: agents do.

use common::id::{MessageId, RequestId};
use common::message::Event;
use common::name::LegacyName;
use common::port::edge::Upstream;
use common::port::nodes::EndedIll;
use common::record::course::{Decision, DecisionKind};
use common::record::owed::Owed;
use common::record::route::{MOST_RESTARTS, Route};
use common::topic::Topic;
use uuid::Uuid;

use super::illness::why_restarted;

/// The verb of the event that tells one.
const VERB: &str = "restart replica";

/// A replica whose ill run was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restart {
    pub(crate) upstream: Upstream,
    pub(crate) ended: EndedIll,
}

/// Takes in what is told, and owes the messages; gives what is news. Of too many the latest are kept, by when they were: so
/// that what is told again and again changes nothing. Of messages that nobody takes for long the latest are kept, too.
pub(crate) fn take_in(route: &mut Route, told: &[Restart]) -> Vec<Decision> {
    let before = route.restarts.clone();
    let mut news: Vec<(&Restart, Decision)> = Vec::new();
    for restart in told {
        let reason = why_restarted(&restart.upstream, restart.ended);
        let decision = Decision { at: restart.ended.at, kind: DecisionKind::Restarted, reason };
        if !before.contains(&decision) {
            route.restarts.push(decision.clone());
            news.push((restart, decision));
        }
    }
    route.restarts.sort_by(|one, other| (one.at, &one.reason).cmp(&(other.at, &other.reason)));
    let surplus = route.restarts.len().saturating_sub(MOST_RESTARTS);
    route.restarts.drain(..surplus);
    news.retain(|(_, decision)| route.restarts.contains(decision));
    for (restart, decision) in &news {
        route.owed.push(message(&route.instance, restart, decision));
    }
    let surplus = route.owed.len().saturating_sub(MOST_RESTARTS);
    route.owed.drain(..surplus);
    news.into_iter().map(|(_, decision)| decision).collect()
}

/// The event on `first_topic`: which replica in its text, when and why in its details.
fn message(instance: &LegacyName, restart: &Restart, decision: &Decision) -> Owed {
    let purpose =
        format!("load-balancer restart of {instance} {} {}", decision.at, decision.reason);
    let request = RequestId(Uuid::nil()).derive(&purpose);
    let text = format!("{instance}${}", restart.upstream.slot);
    Owed {
        message_id: MessageId(request.derive("told").0),
        key: instance.to_string(),
        envelope: Event::Done { verb: VERB.to_owned(), text }
            .envelope(Topic::LoadBalancer, request),
        details: serde_json::to_string(decision).ok(),
    }
}

#[cfg(test)]
mod tests {
    use common::id::{Generation, SlotNumber};
    use common::port::edge::{EdgeOptions, Weight};
    use common::record::route::RouteGoal;
    use jiff::Timestamp;

    use super::*;

    fn route() -> Route {
        let instance: LegacyName = "shop".parse().unwrap();
        Route {
            schema: 1,
            host: instance.host_label(),
            instance,
            front_port: 2000,
            upstreams: Vec::new(),
            leaving: Vec::new(),
            ill: Vec::new(),
            goal: RouteGoal::Served,
            generation: Generation(1),
            revision: 0,
            image: String::new(),
            container_port: 8080,
            container_ids: Vec::new(),
            edge: EdgeOptions::default(),
            decisions: Vec::new(),
            restarts: Vec::new(),
            owed: Vec::new(),
        }
    }

    fn restart(slot: u32, second: i64) -> Restart {
        let port = 20_000 + u16::try_from(slot).unwrap();
        let ip = [192, 0, 2, 1].into();
        let upstream = Upstream { ip, port, slot: SlotNumber(slot), weight: Weight::ONE };
        let at = Timestamp::from_second(second).unwrap();
        Restart { upstream, ended: EndedIll { at, failed_looks: 31 } }
    }

    #[test]
    fn each_restart_is_told_once_however_often_it_is_heard_of() {
        let mut route = route();
        assert_eq!(take_in(&mut route, &[restart(2, 10)]).len(), 1);
        assert_eq!(take_in(&mut route, &[restart(2, 10)]), []);
        let again = take_in(&mut route, &[restart(1, 5), restart(2, 20)]);
        let at: Vec<i64> = again.iter().map(|one| one.at.as_second()).collect();
        assert_eq!(at, [5, 20]);
        let texts: Vec<&str> = route.owed.iter().map(|owed| owed.envelope.msg.as_str()).collect();
        let [first, second] = [1, 2].map(|slot| format!("done restart replica$shop${slot}"));
        assert_eq!(texts, [&second, &first, &second]);
        for owed in &route.owed {
            let text = &owed.envelope.msg;
            assert_eq!(Event::decode(text).unwrap().encode(), *text);
        }
        assert_ne!(route.owed[0].message_id, route.owed[2].message_id);
    }

    #[test]
    fn of_too_many_the_latest_are_kept_and_the_others_are_no_news_again() {
        let mut route = route();
        let told: Vec<Restart> = (1..=12).map(|slot| restart(slot, slot.into())).collect();
        assert_eq!(take_in(&mut route, &told).len(), MOST_RESTARTS);
        assert_eq!(take_in(&mut route, &told), []);
        assert_eq!((route.restarts.len(), route.owed.len()), (MOST_RESTARTS, MOST_RESTARTS));
        assert_eq!(route.restarts[0].at.as_second(), 5);
    }

    #[test]
    fn while_nobody_takes_the_messages_the_latest_are_owed() {
        let mut route = route();
        for second in 1..=50 {
            assert_eq!(take_in(&mut route, &[restart(1, second)]).len(), 1);
        }
        assert_eq!(route.owed.len(), MOST_RESTARTS);
        let details = route.owed.iter().map(|owed| owed.details.as_deref().unwrap());
        let told: Vec<Decision> =
            details.map(|details| serde_json::from_str(details).unwrap()).collect();
        assert_eq!(told, route.restarts);
    }
}
