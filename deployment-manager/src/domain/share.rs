//! A canary's share of the requests, as replicas and weights.

use common::port::edge::Weight;
use common::record::course::Share;

/// Weights have three digits at most.
const MOST: usize = 1000;

/// How many replicas a canary has, where this many are wanted of an instance: its part of them, and one at least of any.
pub(crate) fn replicas(share: Share, wanted: usize) -> usize {
    (wanted * usize::from(share.percent())).div_ceil(100)
}

/// The weights of one replica of what is served and of one of the canary, so that the canary's together get the share.
pub(crate) fn weights(share: Share, served: usize, canary: usize) -> (Weight, Weight) {
    let percent = usize::from(share.percent());
    let exact = ((100 - percent) * canary, percent * served);
    let divisor = common_divisor(exact.0, exact.1).max(1);
    let (served, canary) = (exact.0 / divisor, exact.1 / divisor);
    let largest = served.max(canary).max(1);
    let weight = |number: usize| {
        let number = if largest > MOST { (number * MOST + largest / 2) / largest } else { number };
        u16::try_from(number.max(1))
            .ok()
            .and_then(|number| Weight::try_from(number).ok())
            .unwrap_or_default()
    };
    (weight(served), weight(canary))
}

fn common_divisor(one: usize, other: usize) -> usize {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: i64) -> Share {
        percent.try_into().unwrap()
    }

    fn numbers(weights: (Weight, Weight)) -> (u16, u16) {
        (weights.0.into(), weights.1.into())
    }

    #[test]
    fn a_canary_has_its_part_of_the_replicas_and_one_at_least() {
        for (percent, wanted, has) in
            [(10, 1, 1), (10, 10, 1), (10, 11, 2), (50, 4, 2), (99, 25, 25), (1, 25, 1)]
        {
            assert_eq!(replicas(share(percent), wanted), has, "{percent} % of {wanted}");
        }
    }

    #[test]
    fn equal_replicas_need_no_weights() {
        assert_eq!(numbers(weights(share(50), 1, 1)), (1, 1));
        assert_eq!(numbers(weights(share(10), 9, 1)), (1, 1));
        assert_eq!(numbers(weights(share(10), 1, 1)), (9, 1));
    }

    fn held(percent: u8, served: usize, canary: usize) -> f64 {
        let (one, other) = numbers(weights(share(i64::from(percent)), served, canary));
        let all = |weight: u16, count: usize| {
            f64::from(weight) * f64::from(u16::try_from(count).unwrap())
        };
        100.0 * all(other, canary) / (all(other, canary) + all(one, served))
    }

    #[test]
    fn the_share_is_held_within_a_tenth_of_a_percent() {
        for percent in 1..=99_u8 {
            for wanted in 1..=25_usize {
                let canary = replicas(share(i64::from(percent)), wanted);
                let off = (held(percent, wanted, canary) - f64::from(percent)).abs();
                assert!(off < 0.1, "{percent} % of {wanted}, {canary}: {off}");
                // While replicas are missing, too.
                for (served, canary) in [(1, canary), (wanted, 1)] {
                    let off = (held(percent, served, canary) - f64::from(percent)).abs();
                    assert!(off < 2.0, "{percent} % with {served} and {canary}: {off}");
                }
            }
        }
    }
}
