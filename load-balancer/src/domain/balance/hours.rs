//! What the release of an app says of the number of its replicas, and what of it holds at a moment.

use common::record::scale::{DecisionKind, Hours, Scaling, UsualBounds, in_force};
use jiff::Timestamp;

/// Bounds that hold always, and those of some hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) scaling: Scaling,
    pub(crate) hours: Vec<Hours>,
    pub(crate) by: By,
}

/// Who says what holds for an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Release,
    /// Its release says nothing.
    Platform,
}

/// Why bounds are as they are, where hours make them so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Because {
    least: Option<String>,
    most: Option<String>,
}

impl Described {
    /// What holds for an app that rests, and whose new release says nothing of bounds: it is brought back.
    pub(crate) fn awake() -> Self {
        Described { scaling: Scaling::within(1, 1), hours: Vec::new(), by: By::Release }
    }

    /// What holds for an app whose release says nothing of bounds, where the platform does: never less than was asked for
    /// when it was deployed.
    pub(crate) fn by_default(usual: UsualBounds, pinned: u32) -> Self {
        Described { scaling: usual.of(pinned), hours: Vec::new(), by: By::Platform }
    }

    /// The bounds of a moment.
    pub(crate) fn at(&self, now: Timestamp) -> (Scaling, Because) {
        let found = in_force(self.scaling, &self.hours, now);
        let least = found.scaling.min;
        let most = found.scaling.max;
        let because = match self.by {
            By::Release => Because {
                least: found.least_of.map(|of| format!("schedule {of} asks for at least {least}")),
                most: found.most_of.map(|of| format!("schedule {of} allows at most {most}")),
            },
            By::Platform => Because {
                least: Some(format!(
                    "the platform asks for at least {least} of apps that say no bounds"
                )),
                most: Some(format!(
                    "the platform allows at most {most} of apps that say no bounds"
                )),
            },
        };
        (found.scaling, because)
    }

    /// Whether the bounds of a later moment may be others.
    pub(crate) fn changes(&self) -> bool {
        !self.hours.is_empty()
    }
}

impl Because {
    /// The sentence for a number that went back to the bounds, where hours say them.
    pub(crate) fn of(&self, kind: DecisionKind) -> Option<String> {
        let said = [(DecisionKind::Minimum, &self.least), (DecisionKind::Maximum, &self.most)];
        said.into_iter().find_map(|(of, why)| why.clone().filter(|_| of == kind))
    }
}

#[cfg(test)]
mod tests {
    use common::week::Day;

    use super::*;

    #[test]
    fn hours_say_why_a_number_went_back_to_them() {
        let hours = Hours {
            days: Day::ALL.iter().copied().take(5).collect(),
            from: "08:00".parse().unwrap(),
            to: "18:00".parse().unwrap(),
            zone: "Europe/Vienna".to_owned(),
            min: 4,
            max: None,
        };
        let described =
            Described { scaling: Scaling::within(1, 5), hours: vec![hours], by: By::Release };
        let at = |text: &str| described.at(text.parse().unwrap());
        let (scaling, because) = at("2026-06-01T06:00:00Z");
        assert_eq!((scaling.min, scaling.max), (4, 5));
        let why = "schedule weekdays 08:00–18:00 Europe/Vienna asks for at least 4";
        assert_eq!(because.of(DecisionKind::Minimum).as_deref(), Some(why));
        assert_eq!(because.of(DecisionKind::Maximum), None);
        assert_eq!(at("2026-06-01T05:00:00Z"), (Scaling::within(1, 5), Because::default()));
    }

    #[test]
    fn default_bounds_never_take_what_was_asked_for() {
        let bounds = |pinned| {
            let usual = UsualBounds { schema: 1, min: 2, max: 4, most: 8 };
            let scaling = Described::by_default(usual, pinned).scaling;
            (scaling.min, scaling.max)
        };
        assert_eq!([1, 3, 6, 9].map(bounds), [(2, 4), (3, 4), (6, 6), (8, 8)]);
    }
}
