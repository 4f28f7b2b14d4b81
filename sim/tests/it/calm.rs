//! Delays only.

use sim::{Kind, Plan, run};

fn plan(seed: u64) -> Plan {
    Plan { seed, kind: Kind::Calm, plant: None, story: true }
}

#[test]
fn an_app_is_deployed_and_stopped() {
    for seed in 0..20 {
        let report = run(&plan(seed));
        assert_eq!(report.violations, [], "{}", report.story.join("\n"));
        assert_eq!((report.commands, report.effective), (3, 3));
    }
}

#[test]
fn a_hundred_replays_are_the_same_line_by_line() {
    let first = run(&plan(7));
    for _ in 0..100 {
        let again = run(&plan(7));
        let parts = first.story.iter().zip(&again.story).find(|(one, other)| one != other);
        assert_eq!(parts, None);
        assert_eq!(again.hash, first.hash);
    }
}
