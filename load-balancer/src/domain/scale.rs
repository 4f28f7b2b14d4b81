//! Whether a wanted number of replicas is allowed, and whether it is there.

use common::failure::{Failure, FailureCode};
use common::record::deployment::{Deployment, Goal, State};
use common::record::scale::{Scale, Scaling};
use jiff::SignedDuration;

use super::balance::hours::By;

/// What a pending scale is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The route serves as many replicas as were wanted.
    Reached,
    Pending,
    /// It will not be waited for any longer, or never.
    GivenUp(Failure),
}

/// Whether what a wanted number was for is gone: the instance was stopped, and may have been deployed anew since.
pub(crate) fn is_void(scale: &Scale, deployment: Option<&Deployment>) -> bool {
    deployment.is_none_or(|deployment| {
        let is_gone = deployment.goal == Goal::Stopped || deployment.state == State::Removed;
        is_gone || !scale.is_for(deployment)
    })
}

/// Why an instance cannot be scaled to `replicas`, if it cannot.
pub(crate) fn refusal(
    replicas: u32,
    max_replicas: u32,
    deployment: Option<&Deployment>,
    scaling: Option<(Scaling, By)>,
) -> Option<Failure> {
    if !deployment.is_some_and(Deployment::is_deployed) {
        return Some(unknown());
    }
    if !(1..=max_replicas).contains(&replicas) {
        let message = format!("from 1 to {max_replicas} replicas are allowed, not {replicas}");
        return Some(Failure::new(FailureCode::ReplicasOutOfBounds, message));
    }
    if let Some((Scaling { min, max, .. }, by)) =
        scaling.filter(|(scaling, _)| !(scaling.min..=scaling.max).contains(&replicas))
    {
        let who = match by {
            By::Release => "the app's description",
            By::Platform => "the platform, for apps that say no bounds,",
        };
        let message = format!("{who} allows from {min} to {max} replicas, not {replicas}");
        return Some(Failure::new(FailureCode::ReplicasOutOfBounds, message));
    }
    None
}

/// `serving` replicas get requests, `age` after the scale was accepted.
pub(crate) fn judge(
    scale: &Scale,
    serving: usize,
    deployment: Option<&Deployment>,
    age: SignedDuration,
    within: SignedDuration,
) -> Verdict {
    if is_void(scale, deployment) {
        return Verdict::GivenUp(unknown());
    }
    let wanted = scale.replicas;
    if usize::try_from(wanted) == Ok(serving) {
        return Verdict::Reached;
    }
    if age < within {
        return Verdict::Pending;
    }
    let reason = deployment.and_then(|deployment| deployment.failure.as_ref());
    let why = reason.map(|failure| format!(" ({failure})")).unwrap_or_default();
    let seconds = within.as_secs();
    let message = format!("after {seconds} s {serving} of {wanted} replicas get requests{why}");
    Verdict::GivenUp(Failure::new(FailureCode::DeadlineExceeded, message))
}

fn unknown() -> Failure {
    Failure::new(FailureCode::UnknownInstance, "the instance is not deployed")
}

#[cfg(test)]
mod tests {
    use common::id::{Generation, RequestId};
    use serde_json::json;

    use super::*;

    fn deployment(goal: Goal, state: State) -> Deployment {
        let record = json!({
            "schema": 1,
            "instance": "shop",
            "app": "shop",
            "release": 1,
            "generation": 1,
            "goal": goal,
            "state": state,
            "request": uuid::Uuid::nil(),
            "deadline": "2026-01-01T00:00:00Z",
            "slots": [],
            "updated_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(record).unwrap()
    }

    fn scale(replicas: u32, of: u64) -> Scale {
        Scale {
            schema: 1,
            instance: "shop".parse().unwrap(),
            replicas,
            generation: Generation(1),
            deployment: Generation(of),
            request: RequestId(uuid::Uuid::nil()),
            owed: Vec::new(),
            decisions: Vec::new(),
        }
    }

    fn code(verdict: &Verdict) -> Option<FailureCode> {
        match verdict {
            Verdict::GivenUp(failure) => Some(failure.code),
            Verdict::Reached | Verdict::Pending => None,
        }
    }

    #[test]
    fn only_deployed_instances_and_numbers_within_bounds_are_taken() {
        let running = deployment(Goal::Running, State::Running);
        let stopping = deployment(Goal::Stopped, State::Stopping);
        let failed = deployment(Goal::Running, State::Failed);
        let code = |replicas, deployment| refusal(replicas, 20, deployment, None).map(|f| f.code);
        assert_eq!(code(1, Some(&running)), None);
        assert_eq!(code(20, Some(&running)), None);
        for replicas in [0, 21, u32::MAX] {
            assert_eq!(code(replicas, Some(&running)), Some(FailureCode::ReplicasOutOfBounds));
        }
        for deployment in [None, Some(&stopping), Some(&failed)] {
            assert_eq!(code(2, deployment), Some(FailureCode::UnknownInstance));
        }
    }

    #[test]
    fn a_number_is_within_the_bounds_of_the_apps_description_too() {
        let running = deployment(Goal::Running, State::Running);
        let bounds = Scaling::within(2, 4);
        let said = |replicas| {
            refusal(replicas, 20, Some(&running), Some((bounds, By::Release)))
                .map(|failure| failure.message)
        };
        assert_eq!((said(2), said(4)), (None, None));
        let why = "the app's description allows from 2 to 4 replicas, not 5";
        assert_eq!(said(5).unwrap(), why);
        assert!(said(1).is_some());
    }

    #[test]
    fn a_scale_is_done_when_as_many_replicas_serve() {
        let running = deployment(Goal::Running, State::Running);
        let minute = SignedDuration::from_mins(1);
        let three = scale(3, 1);
        let verdict = |serving, age| judge(&three, serving, Some(&running), age, minute * 2);
        assert_eq!(verdict(2, minute), Verdict::Pending);
        assert_eq!(verdict(4, minute), Verdict::Pending);
        assert_eq!(verdict(3, minute * 3), Verdict::Reached);
        assert_eq!(code(&verdict(2, minute * 2)), Some(FailureCode::DeadlineExceeded));
    }

    #[test]
    fn a_stopped_instance_ends_its_scale() {
        let stopping = deployment(Goal::Stopped, State::Stopping);
        let verdict =
            judge(&scale(1, 1), 1, Some(&stopping), SignedDuration::ZERO, SignedDuration::MAX);
        assert_eq!(code(&verdict), Some(FailureCode::UnknownInstance));
    }

    #[test]
    fn an_instance_that_was_deployed_anew_ends_the_scale_of_before() {
        let mut anew = deployment(Goal::Running, State::Running);
        anew.generation = Generation(5);
        anew.since = Generation(4);
        let verdict =
            |of| judge(&scale(1, of), 1, Some(&anew), SignedDuration::ZERO, SignedDuration::MAX);
        assert_eq!(code(&verdict(3)), Some(FailureCode::UnknownInstance));
        assert_eq!(verdict(4), Verdict::Reached);
    }
}
