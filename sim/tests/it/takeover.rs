//! Two instances of a service.

use sim::takeover::take_over;

#[test]
fn who_stands_by_leads_within_ten_seconds_after_the_leader_has_gone() {
    for seed in 0..10 {
        assert_eq!(take_over(seed, None), [], "seed {seed}");
    }
}
