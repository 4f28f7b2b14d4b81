//! What a message on `first_topic` makes of an instance.

use common::failure::{Failure, FailureCode};
use common::message::Event;
use common::name::LegacyName;
use common::record::instance::{Instance, State};

/// What was heard about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Deployed { url: String },
    NotDeployed(Failure),
    Stopped,
    NotStopped(Failure),
}

/// Whose request the news answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The request that the instance's state belongs to.
    Current,
    /// An older request of ours: a newer one has taken its place.
    Stale,
    /// A request that was not made here: some other program's.
    Foreign,
    /// One of another program of which nothing was made: what is there stays as it is.
    Refused,
}

/// Reads the news in an event; none if it is not about an instance's state.
pub(crate) fn news(event: &Event) -> Option<(&LegacyName, News)> {
    match event {
        Event::Deployed { instance, endpoint } => {
            Some((instance, News::Deployed { url: format!("http://{endpoint}") }))
        }
        Event::NotDeployed { instance, error } => {
            Some((instance, News::NotDeployed(failure(error))))
        }
        Event::Stopped { instance } => Some((instance, News::Stopped)),
        Event::NotStopped { instance, error } => Some((instance, News::NotStopped(failure(error)))),
        Event::PlatformStarted(_)
        | Event::PlatformStopped(_)
        | Event::Scheduled { .. }
        | Event::ItsTime { .. }
        | Event::ItsEndTime { .. }
        | Event::ScheduledDeployed { .. }
        | Event::Done { .. }
        | Event::NotDone { .. }
        | Event::Alert { .. }
        | Event::AlertOver { .. } => None,
    }
}

/// `<CODE>: <sentence>` as ours say it; whatever else other programs say is an internal failure.
pub(crate) fn failure(text: &str) -> Failure {
    let split = text.split_once(": ").map_or((text, ""), |(code, sentence)| (code, sentence));
    let harmless = |text: &str| {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some((end, _)) = text.char_indices().nth(LONGEST_SENTENCE) {
            text.truncate(end);
        }
        text
    };
    match split.0.trim().parse::<FailureCode>() {
        Ok(code) => Failure::new(code, harmless(split.1)),
        Err(_) => Failure::new(FailureCode::Internal, harmless(text)),
    }
}

/// In characters: a failure is one sentence.
const LONGEST_SENTENCE: usize = 1000;

/// Applies the news; whether the instance changed. A stale answer, or one that only says that a newer
/// request took over, never moves the state of a newer request back; nor does what was refused to others.
pub(crate) fn settle(instance: &mut Instance, news: &News, standing: Standing) -> bool {
    let is_superseded = match news {
        News::NotDeployed(failure) | News::NotStopped(failure) => {
            failure.code == FailureCode::Superseded
        }
        News::Deployed { .. } | News::Stopped => false,
    };
    if matches!(standing, Standing::Stale | Standing::Refused) || is_superseded {
        return false;
    }
    match news {
        News::Deployed { url } => {
            instance.state = State::Deployed;
            instance.url = Some(url.clone());
            instance.failure = None;
        }
        News::NotDeployed(failure) => {
            instance.state = State::DeployFailed;
            instance.failure = Some(failure.clone());
        }
        News::Stopped => {
            instance.state = State::Stopped;
            instance.url = None;
            instance.failure = None;
        }
        News::NotStopped(failure) => {
            instance.state = State::StopFailed;
            instance.failure = Some(failure.clone());
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use common::id::{Generation, ReleaseNumber, RequestId};
    use common::record::kept::Way;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn instance(state: State) -> Instance {
        Instance {
            schema: 1,
            name: "shop".parse().unwrap(),
            app: "shop".parse().unwrap(),
            release: ReleaseNumber(1),
            way: Way::default(),
            canary: None,
            owner: "ann".parse().unwrap(),
            replicas: 1,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            generation: Generation(1),
            state,
            request: RequestId(Uuid::nil()),
            by: None,
            url: None,
            failure: None,
            app_json: None,
            updated_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            owed: Vec::new(),
        }
    }

    fn all_news() -> Vec<News> {
        let failure = || Failure::new(FailureCode::AppExited, "it ended");
        vec![
            News::Deployed { url: "http://192.0.2.1:2000".to_owned() },
            News::NotDeployed(failure()),
            News::Stopped,
            News::NotStopped(failure()),
        ]
    }

    #[test]
    fn news_of_an_older_request_and_of_what_was_refused_to_others_change_nothing() {
        for standing in [Standing::Stale, Standing::Refused] {
            for news in all_news() {
                let mut changed = instance(State::Deploying);
                assert!(!settle(&mut changed, &news, standing));
                assert_eq!(changed, instance(State::Deploying));
            }
        }
    }

    #[test]
    fn a_failed_redeploy_keeps_the_url_of_what_still_serves() {
        let mut instance = instance(State::Deploying);
        settle(&mut instance, &News::Deployed { url: "http://x".to_owned() }, Standing::Current);
        let failed = News::NotDeployed(Failure::new(FailureCode::BuildFailed, "no"));
        assert!(settle(&mut instance, &failed, Standing::Current));
        assert_eq!(
            (instance.state, instance.url.as_deref()),
            (State::DeployFailed, Some("http://x"))
        );
    }

    #[test]
    fn that_a_request_was_superseded_is_no_state() {
        let mut changed = instance(State::Deploying);
        let superseded = News::NotDeployed(Failure::new(FailureCode::Superseded, "newer"));
        assert!(!settle(&mut changed, &superseded, Standing::Current));
        assert_eq!(changed.state, State::Deploying);
    }

    #[test]
    fn failures_are_read_as_ours_and_others_write_them() {
        let ours = failure("APP_EXITED: the process ended with 1: see its output");
        assert_eq!(ours.code, FailureCode::AppExited);
        assert_eq!(ours.message, "the process ended with 1: see its output");
        let theirs = failure("Errno 111: connection\nrefused");
        assert_eq!(theirs.code, FailureCode::Internal);
        assert_eq!(theirs.message, "Errno 111: connection refused");
        assert_eq!(failure("OOM_KILLED").code, FailureCode::OomKilled);
        assert_eq!(failure(&"x".repeat(5000)).message.len(), 1000);
    }

    proptest! {
        #[test]
        fn applying_news_twice_is_applying_it_once(index in 0..4_usize, foreign in any::<bool>()) {
            let standing = if foreign { Standing::Foreign } else { Standing::Current };
            let news = &all_news()[index];
            let mut once = instance(State::Deploying);
            settle(&mut once, news, standing);
            let mut twice = once.clone();
            settle(&mut twice, news, standing);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn no_text_breaks_the_reading_of_failures(text in "\\PC{0,80}") {
            prop_assert!(!failure(&text).message.contains('\n'));
        }
    }
}
