//! Who may end a part of an ensemble for its silence: of all its members one at a time, as far as the agents of most
//! of them let it. This is what one of them says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use common::name::{NodeName, PartName};
use serde::{Deserialize, Serialize};

/// For no longer than this is a consent given: what takes longest to end, and to come back.
pub(crate) const LONGEST: Duration = Duration::from_mins(5);

/// Who had the consent lets others go first that asked so short a time ago.
const OTHERS_FIRST: Duration = Duration::from_secs(15);

/// To whom this agent has given its consent, by part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Consents {
    given: BTreeMap<PartName, Given>,
    /// Who had it last, and when another asked in vain.
    #[serde(skip)]
    last: BTreeMap<PartName, (NodeName, Option<Duration>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    to: NodeName,
    lasting: Duration,
    /// By the clock of this run of the agent, as is the next.
    #[serde(skip)]
    first: Duration,
    #[serde(skip)]
    until: Duration,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// That one is being ended and started again.
    Another(NodeName),
    /// Who asks had it last, and another waits.
    OthersFirst,
    /// Who asks has it already, and for so long that it has to end first.
    HadLong,
    /// The member of this agent's own machine is on its way back.
    OwnStarts,
    /// What this agent has said before it began is not known.
    Forgotten,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Another(node) => write!(f, "that of {node} may be ended first"),
            Refusal::OthersFirst => f.write_str("it was let, and another waits"),
            Refusal::HadLong => f.write_str("it was let for long"),
            Refusal::OwnStarts => f.write_str("its own is starting"),
            Refusal::Forgotten => f.write_str("it does not know yet who else may end one"),
        }
    }
}

/// What is asked, and what is true of the own machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) part: &'a PartName,
    pub(crate) by: &'a NodeName,
    /// Nothing gives it back.
    pub(crate) lasting: Duration,
    /// Whether the own member was ended, or has ended by itself, and is not heard yet.
    pub(crate) own_starts: bool,
}

impl Consents {
    /// After another start of the agent nobody knows how much of the time is over: it begins again.
    pub(crate) fn begins_anew(&mut self) {
        self.given.values_mut().for_each(|given| given.until = given.lasting);
    }

    /// Whether the disk has to know of it.
    pub(crate) fn gives_as(&self, other: &Consents) -> bool {
        self.given == other.given
    }

    /// Whether nobody but this one has the consent now.
    pub(crate) fn is_free_for(&self, part: &PartName, node: &NodeName, now: Duration) -> bool {
        self.given.get(part).is_none_or(|given| given.until <= now || given.to == *node)
    }

    /// Gives the consent, or says why not. Who has it may ask again, as when an answer was lost.
    pub(crate) fn ask(&mut self, asked: Asked<'_>, now: Duration) -> Result<(), Refusal> {
        let Asked { part, by, lasting, own_starts } = asked;
        let given = self.given.get(part).filter(|given| given.until > now);
        if lasting.is_zero() {
            if given.is_none_or(|given| given.to == *by) {
                self.given.remove(part);
            }
            return Ok(());
        }
        if let Some(another) = given.filter(|given| given.to != *by) {
            let to = another.to.clone();
            self.last.insert(part.clone(), (to.clone(), Some(now)));
            return Err(Refusal::Another(to));
        }
        let lasting = lasting.min(LONGEST);
        let (first, until) = (given.map_or(now, |given| given.first), now + lasting);
        // One that ended its member at the end of its time would be alone with it.
        if until > first + LONGEST {
            return Err(Refusal::HadLong);
        }
        let waited = self.last.get(part).filter(|(last, _)| given.is_none() && last == by);
        if waited.and_then(|(_, at)| *at).is_some_and(|at| now < at + OTHERS_FIRST) {
            return Err(Refusal::OthersFirst);
        }
        if own_starts {
            return Err(Refusal::OwnStarts);
        }
        if given.is_none() {
            self.last.insert(part.clone(), (by.clone(), None));
        }
        self.given.insert(part.clone(), Given { to: by.clone(), lasting, first, until });
        Ok(())
    }
}

/// Whether so many consents are enough: those of most, so that no two can have enough at once.
pub(crate) fn are_enough(given: usize, members: usize) -> bool {
    given * 2 > members
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn asked(consents: &mut Consents, by: &str, seconds: u64, now: u64) -> Result<(), Refusal> {
        let (part, by) = ("kafka".parse().unwrap(), by.parse().unwrap());
        let lasting = Duration::from_secs(seconds);
        let asked = Asked { part: &part, by: &by, lasting, own_starts: false };
        consents.ask(asked, Duration::from_secs(now))
    }

    fn taken(by: &str) -> Result<(), Refusal> {
        Err(Refusal::Another(by.parse().unwrap()))
    }

    #[test]
    fn one_at_a_time_has_it_until_its_time_is_over_or_it_gives_it_back() {
        let mut consents = Consents::default();
        assert_eq!(asked(&mut consents, "a", 60, 0), Ok(()));
        assert_eq!(asked(&mut consents, "b", 60, 59), taken("a"));
        assert_eq!(asked(&mut consents, "a", 60, 59), Ok(()), "its answer was lost");
        assert_eq!(asked(&mut consents, "b", 60, 118), taken("a"));
        assert_eq!(asked(&mut consents, "b", 60, 119), Ok(()));
        assert_eq!(asked(&mut consents, "a", 0, 120), Ok(()), "it is another's by now");
        assert_eq!(asked(&mut consents, "a", 60, 120), taken("b"));
        assert_eq!(asked(&mut consents, "b", 0, 121), Ok(()));
        assert_eq!(asked(&mut consents, "a", 60, 121), Ok(()));
        assert_eq!(asked(&mut consents, "c", u64::from(u32::MAX), 181), Ok(()));
        assert_eq!(asked(&mut consents, "a", 60, 181 + LONGEST.as_secs()), Ok(()), "no longer");
    }

    #[test]
    fn who_asks_again_and_again_has_it_no_longer_than_any_other() {
        let mut consents = Consents::default();
        assert_eq!(asked(&mut consents, "a", 240, 0), Ok(()));
        assert_eq!(asked(&mut consents, "a", 240, 60), Ok(()));
        assert_eq!(asked(&mut consents, "a", 240, 61), Err(Refusal::HadLong));
        assert_eq!(asked(&mut consents, "b", 240, 299), taken("a"));
        assert_eq!(asked(&mut consents, "a", 240, 300), Err(Refusal::OthersFirst));
        assert_eq!(asked(&mut consents, "b", 240, 300), Ok(()));
    }

    #[test]
    fn who_had_it_lets_another_go_first_that_waits_and_nobody_waits_for_ever() {
        let mut consents = Consents::default();
        assert_eq!(asked(&mut consents, "a", 240, 0), Ok(()));
        assert_eq!(asked(&mut consents, "a", 0, 1), Ok(()));
        assert_eq!(asked(&mut consents, "a", 240, 2), Ok(()), "nobody waits");
        assert_eq!(asked(&mut consents, "b", 240, 10), taken("a"));
        assert_eq!(asked(&mut consents, "a", 0, 11), Ok(()));
        assert_eq!(asked(&mut consents, "a", 240, 24), Err(Refusal::OthersFirst));
        assert_eq!(asked(&mut consents, "a", 240, 25), Ok(()), "it waits no more");
        assert_eq!(asked(&mut consents, "b", 240, 30), taken("a"));
        assert_eq!(asked(&mut consents, "a", 0, 31), Ok(()));
        assert_eq!(asked(&mut consents, "b", 240, 32), Ok(()));
        assert_eq!(asked(&mut consents, "a", 240, 33), taken("b"));
    }

    #[test]
    fn who_has_no_others_to_ask_waits_for_one_that_has_the_consent() {
        let mut consents = Consents::default();
        let (part, nodes): (PartName, _) = ("kafka".parse().unwrap(), ["a", "b"]);
        let [a, b] = nodes.map(|node| node.parse::<NodeName>().unwrap());
        assert_eq!(asked(&mut consents, "a", 60, 0), Ok(()));
        let free = |node, now| consents.is_free_for(&part, node, Duration::from_secs(now));
        assert_eq!([free(&a, 59), free(&b, 59), free(&b, 60)], [true, false, true]);
    }

    #[test]
    fn nobody_has_it_while_the_own_member_starts_and_of_each_kind_there_is_one() {
        let mut consents = Consents::default();
        let (kafka, zookeeper) = ("kafka".parse().unwrap(), "zookeeper".parse().unwrap());
        let node = "a".parse().unwrap();
        let asked = Asked { part: &kafka, by: &node, lasting: MINUTE, own_starts: true };
        assert_eq!(consents.ask(asked, MINUTE), Err(Refusal::OwnStarts));
        assert_eq!(consents.ask(Asked { own_starts: false, ..asked }, MINUTE), Ok(()));
        let other = "b".parse().unwrap();
        let another = Asked { part: &zookeeper, by: &other, own_starts: false, ..asked };
        assert_eq!(consents.ask(another, MINUTE), Ok(()));
    }

    #[test]
    fn what_was_given_before_the_agent_began_anew_holds_as_long_again() {
        let mut before = Consents::default();
        assert_eq!(asked(&mut before, "a", 60, 1_000), Ok(()));
        let kept = serde_json::to_vec(&before).unwrap();
        let mut consents: Consents = serde_json::from_slice(&kept).unwrap();
        consents.begins_anew();
        assert_eq!(asked(&mut consents, "b", 60, 59), taken("a"));
        assert_eq!(asked(&mut consents, "b", 60, 60), Ok(()));
    }

    #[test]
    fn two_of_three_are_enough_and_never_both_for_two() {
        let enough: Vec<bool> = (0..4).map(|given| are_enough(given, 3)).collect();
        assert_eq!(enough, [false, false, true, true]);
        assert!(!are_enough(2, 4) && are_enough(3, 5));
    }
}
