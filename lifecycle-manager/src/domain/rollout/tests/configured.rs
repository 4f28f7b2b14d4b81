//! Settings of a service, and receivers of alerts: others are another version.

use rollout::parts::{ConfiguredService, Setting};

use super::*;

impl Story {
    fn is_said(&mut self, limit: &str, receivers: Option<&str>) {
        self.rollout.configured = ConfiguredService {
            settings: [("restarts.limit".to_owned(), Setting::Value(limit.to_owned()))].into(),
            receivers: receivers.map(|text| Digest::of(text.as_bytes())),
        };
    }

    fn limits(&self) -> Vec<Option<&Setting>> {
        let staying = self.rollout.staying();
        staying.map(|one| one.version.configured.settings.get("restarts.limit")).collect()
    }
}

#[test]
fn other_settings_and_other_receivers_come_to_one_instance_at_a_time() {
    let mut story = Story::running(&["a", "b"]);
    for (limit, receivers) in [("20", None), ("20", Some("pager")), ("20", Some("night"))] {
        story.is_said(limit, receivers);
        assert_eq!(story.steps(), ["replace a"]);
        assert!(story.steps().is_empty(), "the first is not ready with them yet");
        story.has("a", Some(true));
        assert_eq!(story.steps(), ["replace b"]);
        story.has("b", Some(true));
        assert!(story.steps().is_empty());
        let good = story.rollout.good.clone().unwrap();
        assert_eq!(good.configured, story.rollout.configured);
    }
}

#[test]
fn settings_with_which_nothing_becomes_ready_are_backed_out_of_until_there_are_others() {
    let mut story = Story::running(&["a", "b"]);
    story.is_said("20", None);
    story.settle();
    story.is_said("0", None);
    assert_eq!(story.steps(), ["replace a"]);
    story.has("a", Some(false));
    story.now = 61;
    assert_eq!(story.steps(), ["back out: it was not ready within 60 s", "replace a"]);
    story.has("a", Some(true));
    assert!(story.steps().is_empty(), "the same settings are not tried again");
    let twenty = Setting::Value("20".to_owned());
    assert_eq!(story.limits(), [Some(&twenty), Some(&twenty)]);
    story.is_said("30", None);
    assert_eq!(story.settle(), ["replace a", "replace b"]);
}
