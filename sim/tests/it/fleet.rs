//! Machines, and the platform's own parts on them.

use sim::many::run_all;
use sim::{Kind, Plan, Trial, run};

fn trial(of: Trial, seed: u64) -> Plan {
    Plan { seed, kind: Kind::Trial { of }, plant: None, story: false }
}

#[test]
fn a_platform_that_nothing_happens_to_is_started_and_stopped() {
    for seed in 0..4 {
        let kind = Kind::Fleet { commands: 4, blows: 0 };
        let report = run(&Plan { seed, kind, plant: None, story: true });
        assert_eq!(report.violations, [], "seed {seed}: {}", report.story.join("\n"));
    }
}

#[test]
fn a_leader_that_was_paused_restarts_nothing_when_it_comes_back() {
    for seed in 0..8 {
        assert_eq!(run(&trial(Trial::LeaderPaused, seed)).violations, [], "seed {seed}");
    }
}

#[test]
fn monitoring_that_sees_nobody_has_nothing_restarted_and_says_so() {
    for seed in 0..4 {
        assert_eq!(run(&trial(Trial::MonitoringBlind, seed)).violations, [], "seed {seed}");
    }
}

#[test]
fn nothing_is_restarted_where_everything_is_said_to_be_dead() {
    for seed in 0..4 {
        assert_eq!(run(&trial(Trial::AllSaidDead, seed)).violations, [], "seed {seed}");
    }
}

#[test]
fn a_fleet_replays_to_the_same_hash() {
    for seed in 5000..5010 {
        let told = run(&Plan { story: true, ..Plan::fleet(seed) });
        assert_eq!(told.hash, run(&Plan::fleet(seed)).hash, "seed {seed}");
    }
}

#[test]
fn much_goes_wrong_in_every_fleet() {
    let sum = run_all(0..20, Plan::fleet, |_| false);
    assert_eq!(sum.runs, 20);
    let effective = sum.coverage.effective_percent();
    assert!(effective >= 60, "{effective} %");
}
