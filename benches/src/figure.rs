//! One line of the result, and the arithmetic of pairs.

use std::time::Duration;

use serde::Serialize;

/// Which side of the goal is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Nobody promised anything: it stands there to compare with.
    Nowhere,
}

/// A measurement, the floor it was taken beside, and the goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) floor: Option<f64>,
    /// The median of the pairs' ratios, value to floor.
    pub(crate) ratio: Option<f64>,
    /// For the ratio where a figure is one of pairs, else for the value.
    pub(crate) goal: Option<f64>,
    pub(crate) met: Option<bool>,
    /// The least and the greatest of the pairs' ratios.
    #[serde(skip)]
    pub(crate) spread: Option<(f64, f64)>,
    /// What a reader of the table should know besides.
    #[serde(skip)]
    pub(crate) note: String,
}

impl Figure {
    /// A figure of pairs (value, floor) that were measured in turns.
    pub(crate) fn of_pairs(name: &str, pairs: &[(f64, f64)], goal: Goal) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(value, floor)| value / floor).collect();
        let ratio = median(&ratios);
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let values: Vec<f64> = pairs.iter().map(|(value, _)| *value).collect();
        let floors: Vec<f64> = pairs.iter().map(|(_, floor)| *floor).collect();
        Figure {
            floor: Some(median(&floors)),
            ratio: Some(ratio),
            met: goal.is_met(ratio),
            spread: Some((least, greatest)),
            ..Figure::of_value(name, median(&values), goal)
        }
    }

    /// A figure with an absolute goal, of pairs (value, floor) that were measured in turns.
    pub(crate) fn of_value_beside(name: &str, pairs: &[(f64, f64)], goal: Goal) -> Self {
        let beside = Figure::of_pairs(name, pairs, goal);
        Figure { met: goal.is_met(beside.value), ..beside }
    }

    /// A figure with an absolute goal.
    pub(crate) fn of_value(name: &str, value: f64, goal: Goal) -> Self {
        Figure {
            name: name.to_owned(),
            value,
            floor: None,
            ratio: None,
            goal: goal.number(),
            met: goal.is_met(value),
            spread: None,
            note: String::new(),
        }
    }

    pub(crate) fn with_note(self, note: String) -> Self {
        Figure { note, ..self }
    }
}

impl Goal {
    fn number(self) -> Option<f64> {
        match self {
            Goal::AtMost(number) | Goal::AtLeast(number) => Some(number),
            Goal::Nowhere => None,
        }
    }

    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtMost(number) => Some(value <= number),
            Goal::AtLeast(number) => Some(value >= number),
            Goal::Nowhere => None,
        }
    }
}

/// The median; of an even number of values the mean of the middle two. Not a number for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|index| sorted.get(index)).copied();
    f64::midpoint(lower.unwrap_or(f64::NAN), upper)
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::float_cmp, reason = "these sums are exact")]
    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_ratio_is_the_median_of_ratios_not_the_ratio_of_medians() {
        let pairs = [(10.0, 1.0), (20.0, 10.0), (30.0, 10.0)];
        let figure = Figure::of_pairs("a", &pairs, Goal::AtMost(2.9));
        assert_eq!(
            (figure.value, figure.floor, figure.ratio),
            (20.0, Some(10.0), Some(3.0)),
            "{figure:?}"
        );
        assert_eq!(figure.spread, Some((2.0, 10.0)));
        assert_eq!(figure.met, Some(false));
    }

    #[test]
    fn an_absolute_goal_is_for_the_value_whatever_the_ratio_is() {
        let pairs = [(10.0, 1.0), (20.0, 10.0), (30.0, 10.0)];
        let figure = Figure::of_value_beside("a", &pairs, Goal::AtLeast(15.0));
        assert_eq!((figure.ratio, figure.met), (Some(3.0), Some(true)), "{figure:?}");
        assert_eq!(Figure::of_value_beside("a", &pairs, Goal::AtLeast(21.0)).met, Some(false));
    }

    #[test]
    fn a_goal_is_met_exactly_too_and_nothing_is_met_by_no_measurement() {
        assert_eq!(Figure::of_value("a", 2.0, Goal::AtMost(2.0)).met, Some(true));
        assert_eq!(Figure::of_value("a", 2.0, Goal::AtLeast(2.0)).met, Some(true));
        assert_eq!(Figure::of_pairs("a", &[], Goal::AtLeast(0.0)).met, Some(false));
        assert_eq!(Figure::of_pairs("a", &[], Goal::AtMost(9.0)).met, Some(false));
    }

    #[test]
    fn readers_get_six_members() {
        let figure = Figure::of_value("a", 1.0, Goal::AtMost(2.0)).with_note("b".to_owned());
        let json = serde_json::to_string(&figure).unwrap();
        let expected =
            r#"{"name":"a","value":1.0,"floor":null,"ratio":null,"goal":2.0,"met":true}"#;
        assert_eq!(json, expected);
        let compared = Figure::of_value("a", 1.0, Goal::Nowhere);
        assert_eq!((compared.goal, compared.met), (None, None));
    }
}
