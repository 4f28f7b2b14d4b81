//! Instances that do not answer on machines that do.

use super::*;

#[test]
fn an_instance_that_does_not_answer_is_restarted_once_in_each_step_of_its_back_off() {
    let mut story = Story::running(&["a", "b"]);
    story.has("a", Some(false));
    story.now = 100;
    assert!(story.steps().is_empty());
    let mut restarts = Vec::new();
    for second in 101..160 {
        story.now = second;
        restarts.extend(story.steps().iter().map(|_| second - 100));
    }
    assert_eq!(restarts, [15, 25, 45]);
    story.brakes.services = true;
    story.now = 900;
    assert!(story.steps().is_empty(), "the brake holds");
}

#[test]
fn an_instance_that_somebody_has_just_restarted_is_given_its_time() {
    let mut story = Story::running(&["a", "b"]);
    story.has("a", Some(false));
    story.now = 100;
    story.steps();
    let Some(Sighting::Answers { parts }) = story.seen.get_mut(&name("a")) else { unreachable!() };
    parts[0].state = ContainerState::Running { since: at(113) };
    // Since it is seen to run anew: its machine's clock may differ.
    for (second, restarted) in [(116, false), (130, false), (131, true)] {
        story.now = second;
        assert_eq!(!story.steps().is_empty(), restarted, "{second}");
    }
}

#[test]
fn an_instance_that_is_being_restarted_as_somebody_asked_is_not_restarted_besides() {
    let mut story = Story::running(&["a", "b"]);
    story.has("a", Some(false));
    story.now = 100;
    story.steps();
    let ran_since = Some(at(0));
    let asked = InstanceRestart { node: name("a"), ran_since, attempts: 0, attempted_at: None };
    story.asked = Some(asked.clone());
    story.now = 116;
    assert!(story.steps().is_empty(), "whoever asked has it restarted");
    let Some(Sighting::Answers { parts }) = story.seen.get_mut(&name("a")) else { unreachable!() };
    parts[0].state = ContainerState::Exited { code: 0, out_of_memory: false, at: at(116) };
    assert!(story.steps().is_empty(), "it is stopped so as to be started");
    story.has("a", Some(false));
    story.asked = Some(InstanceRestart { node: name("b"), ..asked.clone() });
    assert!(!story.steps().is_empty(), "another one is being restarted");
    // It was restarted, and is as ill as before when its time is over.
    story.asked = Some(InstanceRestart { ran_since: Some(at(-1)), ..asked });
    story.now = 300;
    assert!(!story.steps().is_empty(), "it was restarted, and is as ill as before");
}
