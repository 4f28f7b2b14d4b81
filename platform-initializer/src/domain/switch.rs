//! What a request to start or stop the platform makes of what is on its way.

use common::failure::Failure;
use common::id::{Generation, RequestId};
use common::record::operation::Outcome;
use common::record::platform::{PlatformGoal, PlatformRecord, PlatformState};
use jiff::{SignedDuration, Timestamp};

/// So many requests for a goal that is on its way may wait for it.
const MOST_JOINED: usize = 16;

/// A request, as it is decided about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) goal: PlatformGoal,
    pub(crate) at: Timestamp,
    /// How long reaching the goal may take.
    pub(crate) within: SignedDuration,
}

/// What becomes of the platform's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Switched {
    pub(crate) record: PlatformRecord,
    /// Requests that end by this one, with the goal that each had.
    pub(crate) ended: Vec<(RequestId, PlatformGoal, Outcome)>,
}

/// A request for the goal that is on its way waits for it; any other takes the place of what is on its way.
pub(crate) fn switch(before: Option<&PlatformRecord>, request: Request) -> Switched {
    let Some(before) = before else {
        return Switched { record: fresh(request), ended: Vec::new() };
    };
    let may_join = is_on_its_way(before.state)
        && before.goal == request.goal
        && before.state != PlatformState::Undoing
        && before.joined.len() < MOST_JOINED;
    if may_join {
        let mut record = before.clone();
        record.joined.push(request.id);
        return Switched { record, ended: Vec::new() };
    }
    let goes_on = is_on_its_way(before.state)
        && before.goal == PlatformGoal::On
        && request.goal == PlatformGoal::On;
    let record = PlatformRecord {
        generation: before.generation.next(),
        // What an unfinished start began is not what ran before this one.
        begun: if goes_on { before.begun.clone() } else { Vec::new() },
        reached: before.reached.clone(),
        owed: before.owed.clone(),
        ..fresh(request)
    };
    Switched { record, ended: ended(before) }
}

fn fresh(request: Request) -> PlatformRecord {
    PlatformRecord {
        schema: 1,
        goal: request.goal,
        generation: Generation(1),
        state: PlatformState::Accepted,
        request: request.id,
        deadline: request.at.saturating_add(request.within).unwrap_or(Timestamp::MAX),
        failure: None,
        since: request.at,
        joined: Vec::new(),
        begun: Vec::new(),
        stage: None,
        reached: None,
        owed: Vec::new(),
    }
}

fn ended(before: &PlatformRecord) -> Vec<(RequestId, PlatformGoal, Outcome)> {
    if !is_on_its_way(before.state) {
        return Vec::new();
    }
    // A start that is being undone has failed already.
    let outcome = match &before.failure {
        Some(failure) => Outcome::Failed { failure: failure.clone(), details: None },
        None => Outcome::Superseded,
    };
    requests(before).map(|id| (id, before.goal, outcome.clone())).collect()
}

/// The requests that wait for the goal.
pub(crate) fn requests(record: &PlatformRecord) -> impl Iterator<Item = RequestId> {
    std::iter::once(record.request).chain(record.joined.iter().copied())
}

/// Whether somebody still waits for the goal to be reached or given up.
pub(crate) fn is_on_its_way(state: PlatformState) -> bool {
    match state {
        PlatformState::Accepted | PlatformState::Changing | PlatformState::Undoing => true,
        PlatformState::Running | PlatformState::Stopped | PlatformState::Failed => false,
    }
}

/// A start has failed: what it began is taken back.
pub(crate) fn undo(start: &PlatformRecord, failure: Failure, at: Timestamp) -> PlatformRecord {
    PlatformRecord {
        state: PlatformState::Undoing,
        failure: Some(failure),
        stage: None,
        since: at,
        ..start.clone()
    }
}

#[cfg(test)]
mod tests {
    use common::failure::FailureCode;
    use uuid::Uuid;

    use super::*;

    fn request(number: u128, goal: PlatformGoal) -> Request {
        let id = RequestId(Uuid::from_u128(number));
        Request { id, goal, at: Timestamp::UNIX_EPOCH, within: SignedDuration::from_secs(60) }
    }

    fn ids(switched: &Switched) -> Vec<u128> {
        switched.ended.iter().map(|(id, _, _)| id.0.as_u128()).collect()
    }

    #[test]
    fn a_request_for_the_goal_that_is_on_its_way_waits_for_it() {
        let first = switch(None, request(1, PlatformGoal::On)).record;
        let second = switch(Some(&first), request(2, PlatformGoal::On));
        assert_eq!(second.ended, []);
        assert_eq!(second.record.generation, first.generation);
        assert_eq!(requests(&second.record).count(), 2);
    }

    #[test]
    fn a_stop_takes_the_place_of_a_start_and_of_all_that_wait_for_it() {
        let first = switch(None, request(1, PlatformGoal::On)).record;
        let second = switch(Some(&first), request(2, PlatformGoal::On)).record;
        let stop = switch(Some(&second), request(3, PlatformGoal::Off));
        assert_eq!(ids(&stop), [1, 2]);
        assert!(stop.ended.iter().all(|(_, _, outcome)| *outcome == Outcome::Superseded));
        assert_eq!(stop.record.goal, PlatformGoal::Off);
        assert!(stop.record.generation > second.generation);
    }

    #[test]
    fn a_start_that_is_being_undone_has_failed_and_the_next_one_owns_what_it_began() {
        let mut first = switch(None, request(1, PlatformGoal::On)).record;
        first.begun = vec![common::service::ServiceName::NodeManager];
        let failure = Failure::new(FailureCode::HealthTimeout, "it did not answer");
        let undoing = undo(&first, failure.clone(), Timestamp::UNIX_EPOCH);
        let next = switch(Some(&undoing), request(2, PlatformGoal::On));
        let failed = Outcome::Failed { failure, details: None };
        assert_eq!(next.ended, [(first.request, PlatformGoal::On, failed)]);
        assert_eq!(next.record.begun, first.begun);
        assert_eq!(next.record.failure, None);
    }

    #[test]
    fn what_has_ended_is_told_no_second_time() {
        let mut first = switch(None, request(1, PlatformGoal::On)).record;
        first.state = PlatformState::Running;
        assert_eq!(switch(Some(&first), request(2, PlatformGoal::On)).ended, []);
    }

    #[test]
    fn more_than_a_few_do_not_wait_together() {
        let mut record = switch(None, request(0, PlatformGoal::On)).record;
        for number in 1..=16 {
            record = switch(Some(&record), request(number, PlatformGoal::On)).record;
        }
        let more = switch(Some(&record), request(17, PlatformGoal::On));
        assert_eq!(more.ended.len(), 17);
        assert_eq!(more.record.joined, []);
    }
}
