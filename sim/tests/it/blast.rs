//! I11.

use sim::blast_radius;

#[test]
fn what_one_app_does_wrong_delays_no_other() {
    for seed in 0..20 {
        assert_eq!(blast_radius(seed, None), [], "seed {seed}");
    }
}
