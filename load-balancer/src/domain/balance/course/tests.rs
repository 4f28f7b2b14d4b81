use common::id::Generation;
use common::record::scale::MOST_DECISIONS;
use proptest::prelude::*;

use super::super::hours::Because;
use super::super::known::Replica;
use super::*;

mod traffic;

const RULES: Rules =
    Rules { samples: 5, brake_after: 3, most: 20, place_within: Duration::from_mins(2) };
/// From 1 to 5, 30 s between two additions.
const SCALING: Scaling = Scaling::within(1, 5);
/// A cycle.
const STEP: Duration = Duration::from_millis(100);

/// An app that gets at once what is decided, and the load that it is under.
struct App {
    known: Known,
    course: Course,
    demand: Option<Demand>,
    has_ill: bool,
    now: Duration,
}

impl App {
    fn of(wanted: u32) -> Self {
        let mut app = App {
            known: Known {
                scaling: SCALING,
                because: Because::default(),
                wanted: 0,
                replicas: Vec::new(),
                way: Way::Reached,
                newest: None,
                oldest: None,
                decisions: Vec::new(),
            },
            course: Course {
                last: None,
                rests_until: Duration::ZERO,
                eased: false,
                idle_since: None,
                missing_since: None,
            },
            demand: None,
            has_ill: false,
            now: Duration::ZERO,
        };
        app.served(wanted);
        app
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.now
    }

    fn served(&mut self, wanted: u32) {
        let replica = |number: u32| Replica {
            container: format!("shop_instance_{number}").parse().unwrap(),
            node: "node-1".parse().unwrap(),
            generation: Generation(1),
        };
        self.known.wanted = wanted;
        self.known.replicas = (1..=wanted).map(replica).collect();
    }

    /// One cycle in which each replica takes this much.
    fn cycle(&mut self, cpu: f64, memory: f64) -> Verdict {
        let load = Some(Load { cpu, memory });
        self.cycle_with(&vec![load; self.known.replicas.len()])
    }

    fn cycle_with(&mut self, loads: &[Option<Load>]) -> Verdict {
        self.now += STEP;
        let verdict = {
            let measured = Measured { loads, demand: self.demand, has_ill: self.has_ill };
            self.course.next(&self.known, measured, &RULES, self.now)
        };
        if let Verdict::Decide(draft) = &verdict {
            let before = self.known.clone();
            self.known.decisions.push(draft.clone().at(self.wall()));
            self.served(draft.to);
            let (wall, now) = (self.wall(), self.now);
            self.course.follow(&before, &self.known, wall, now);
        }
        verdict
    }

    /// So many seconds in which the replicas share a load, each at most taking all that it may.
    fn share(&mut self, total: f64, seconds: u32) {
        for _ in 0..seconds * 10 {
            let each = (total / f64::from(self.known.wanted)).min(100.0);
            self.cycle(each, 20.0);
        }
    }

    fn kinds(&self) -> Vec<DecisionKind> {
        self.known.decisions.iter().map(|decision| decision.kind).collect()
    }
}

fn kept(verdict: &Verdict) -> Option<Hold> {
    match verdict {
        Verdict::Keep(hold) => Some(*hold),
        Verdict::Decide(_) => None,
    }
}

#[test]
fn an_overloaded_replica_gets_one_beside_it_at_once() {
    for (cpu, memory, kind, reason) in [
        (
            97.4,
            20.0,
            DecisionKind::Processor,
            "the busiest of 1 replica took 97 % of its processor, more than 80 %",
        ),
        (
            5.0,
            75.2,
            DecisionKind::Memory,
            "the fullest of 1 replica took 75 % of its memory, more than 75 %",
        ),
    ] {
        let Verdict::Decide(draft) = App::of(1).cycle(cpu, memory) else { panic!("it is kept") };
        assert_eq!((draft.from, draft.to, draft.kind), (1, 2, kind));
        assert_eq!(draft.reason, reason);
    }
}

#[test]
fn neither_equality_nor_a_minute_at_seventy_percent_changes_anything() {
    let mut app = App::of(1);
    for _ in 0..600 {
        assert_eq!(kept(&app.cycle(70.0, 70.0)), Some(Hold::Content));
        assert_eq!(kept(&app.cycle(80.0, 75.0)), Some(Hold::Content));
    }
}

#[test]
fn one_replica_a_cooldown_is_added_until_the_load_is_carried() {
    let mut app = App::of(1);
    app.share(300.0, 29);
    assert_eq!(app.known.wanted, 2, "the second addition waits");
    app.share(300.0, 2);
    assert_eq!(app.known.wanted, 3);
    app.share(300.0, 30);
    assert_eq!(app.known.wanted, 4);
    app.share(300.0, 3600);
    assert_eq!(app.known.wanted, 4, "75 % of each is no overload");
}

#[test]
fn a_replica_that_began_to_serve_just_now_is_left_to_warm_up() {
    let mut app = App::of(1);
    app.known.newest = Some(app.wall());
    app.course = Course::of(&app.known, app.wall(), app.now);
    for _ in 0..299 {
        assert_eq!(kept(&app.cycle(99.0, 20.0)), Some(Hold::Cooldown));
    }
    app.cycle(99.0, 20.0);
    assert_eq!(app.known.wanted, 2);
}

#[test]
fn what_is_not_needed_for_ten_cooldowns_is_taken_away_one_by_one() {
    let mut app = App::of(3);
    app.share(30.0, 299);
    assert_eq!(app.known.wanted, 3);
    app.share(30.0, 2);
    assert_eq!(app.known.wanted, 2);
    app.share(30.0, 298);
    assert_eq!(app.known.wanted, 2);
    app.share(30.0, 3);
    assert_eq!(app.known.wanted, 1);
    app.share(0.0, 3600);
    assert_eq!((app.known.wanted, app.known.decisions.len()), (1, 2), "one is its least");
}

#[test]
fn nothing_is_taken_away_where_the_others_would_come_near_their_limit() {
    let mut app = App::of(2);
    app.share(61.0, 3600);
    assert_eq!(app.known.decisions, []);
    app.share(59.0, 301);
    assert_eq!(app.known.wanted, 1);
}

#[test]
fn while_a_replica_is_ill_none_is_taken_away_for_want_of_load() {
    let mut app = App::of(2);
    app.share(20.0, 299);
    app.has_ill = true;
    assert_eq!(kept(&app.cycle(10.0, 20.0)), Some(Hold::UnderWay));
    app.share(20.0, 600);
    assert_eq!(app.known.wanted, 2);
    app.has_ill = false;
    app.share(20.0, 299);
    assert_eq!(app.known.wanted, 2, "it begins anew");
    app.share(20.0, 2);
    assert_eq!(app.known.wanted, 1);
    app.has_ill = true;
    app.share(99.0, 60);
    assert_eq!(app.known.wanted, 2, "more are added all the same");
}

#[test]
fn memory_counts_as_work_only_where_it_was_why_a_replica_was_added() {
    let mut idle = App::of(2);
    for _ in 0..3100 {
        idle.cycle(1.0, 60.0);
    }
    assert_eq!(idle.known.wanted, 1, "what an app takes at rest is no reason to keep it");
    let mut full = App::of(1);
    full.cycle(1.0, 76.0);
    for _ in 0..36_000 {
        full.cycle(1.0, 40.0);
    }
    assert_eq!(full.known.wanted, 2, "80 % of one is why there are two");
}

#[test]
fn additions_that_do_not_help_end_and_say_so() {
    let mut app = App::of(1);
    for _ in 0..36_000 {
        app.cycle(100.0, 20.0);
    }
    let added = DecisionKind::Processor;
    assert_eq!(app.kinds(), [added, added, added, DecisionKind::Brake]);
    let brake = app.known.decisions.last().unwrap();
    assert_eq!((brake.from, brake.to, brake.fruitless), (4, 4, 3));
    assert!(brake.reason.starts_with("more replicas do not lower the load of each"));
    assert_eq!(kept(&app.cycle(100.0, 20.0)), Some(Hold::Brake));
    // A successor that only knows the record holds the brake, too.
    app.course = Course::of(&app.known, app.wall(), app.now);
    assert_eq!(kept(&app.cycle(100.0, 20.0)), Some(Hold::Brake));
}

#[test]
fn the_brake_ends_with_the_load_with_a_scale_and_with_another_release() {
    let braked = || {
        let mut app = App::of(1);
        for _ in 0..2000 {
            app.cycle(100.0, 20.0);
        }
        assert_eq!(kept(&app.cycle(100.0, 20.0)), Some(Hold::Brake));
        app
    };
    let mut eased = braked();
    eased.cycle(50.0, 20.0);
    eased.cycle(100.0, 20.0);
    assert_eq!(eased.known.wanted, 5);
    let mut replaced = braked();
    let before = replaced.known.clone();
    replaced.now += Duration::from_mins(1);
    let served_since = Some(replaced.wall());
    (replaced.known.oldest, replaced.known.newest) = (served_since, served_since);
    let (wall, now) = (replaced.wall(), replaced.now);
    replaced.course.follow(&before, &replaced.known, wall, now);
    for _ in 0..310 {
        replaced.cycle(100.0, 20.0);
    }
    assert_eq!(replaced.known.wanted, 5);
    let mut asked = braked();
    let before = asked.known.clone();
    asked.known.decisions.push(Decision {
        at: asked.wall(),
        from: 4,
        to: 4,
        kind: DecisionKind::Asked,
        reason: String::new(),
        load: None,
        fruitless: 0,
    });
    let (wall, now) = (asked.wall(), asked.now);
    asked.course.follow(&before, &asked.known, wall, now);
    for _ in 0..310 {
        asked.cycle(100.0, 20.0);
    }
    assert_eq!(asked.known.wanted, 5);
}

#[test]
fn there_are_never_more_than_the_bounds_nor_than_the_platform_allows() {
    let mut app = App::of(5);
    assert_eq!(kept(&app.cycle(100.0, 100.0)), Some(Hold::AtMost));
    app.known.scaling.max = 100;
    app.served(20);
    assert_eq!(kept(&app.cycle(100.0, 100.0)), Some(Hold::AtMost));
}

#[test]
fn a_number_outside_of_the_bounds_goes_back_whatever_is_measured() {
    for (wanted, to, kind) in [(1, 2, DecisionKind::Minimum), (9, 5, DecisionKind::Maximum)] {
        let mut app = App::of(wanted);
        app.known.scaling.min = 2;
        let loads = vec![None; app.known.replicas.len()];
        let Verdict::Decide(draft) = app.cycle_with(&loads) else { panic!("it is kept") };
        assert_eq!((draft.to, draft.kind), (to, kind));
    }
}

#[test]
fn nothing_is_decided_while_something_is_under_way_or_a_replica_is_not_heard_of() {
    let mut app = App::of(2);
    let hot = Some(Load { cpu: 100.0, memory: 100.0 });
    assert_eq!(kept(&app.cycle_with(&[hot, None])), Some(Hold::Unmeasured));
    assert_eq!(kept(&app.cycle_with(&[])), Some(Hold::Unmeasured));
    app.known.way = Way::Moving;
    assert_eq!(kept(&app.cycle_with(&[hot, hot])), Some(Hold::UnderWay));
}

#[test]
fn a_gap_in_what_is_heard_begins_the_wait_for_a_removal_anew() {
    let mut app = App::of(2);
    app.share(1.0, 299);
    app.cycle_with(&[None, None]);
    app.share(1.0, 299);
    assert_eq!(app.known.wanted, 2);
    app.share(1.0, 2);
    assert_eq!(app.known.wanted, 1);
}

#[test]
fn what_no_node_takes_is_wanted_only_while_it_is_needed() {
    let mut app = App::of(4);
    app.known.replicas.truncate(2);
    app.known.way = Way::Missing;
    for _ in 0..1500 {
        assert_eq!(kept(&app.cycle(99.0, 20.0)), Some(Hold::UnderWay));
    }
    assert!(matches!(app.cycle(20.0, 20.0), Verdict::Decide(_)));
    assert_eq!((app.known.wanted, app.kinds()), (2, vec![DecisionKind::Unplaced]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_measured_the_number_stays_within_its_bounds_and_its_pace(
        loads in proptest::collection::vec(
            (proptest::option::of((0.0..200.0, 0.0..120.0)), 1..400_u32),
            1..60,
        ),
        min in 1..4_u32,
        more in 0..4_u32,
    ) {
        let mut app = App::of(min);
        app.known.scaling = Scaling { min, max: min + more, ..SCALING };
        for (load, cycles) in loads {
            for _ in 0..cycles {
                let before = app.known.wanted;
                let load = load.map(|(cpu, memory)| Load { cpu, memory });
                let verdict = app.cycle_with(&vec![load; app.known.replicas.len()]);
                prop_assert!(load.is_some() || kept(&verdict) == Some(Hold::Unmeasured));
                prop_assert!((min..=min + more).contains(&app.known.wanted));
                prop_assert!(app.known.wanted.abs_diff(before) <= 1);
            }
        }
        let decisions = &app.known.decisions;
        for pair in decisions.windows(2) {
            let [one, other] = pair else { continue };
            let pause = other.at.duration_since(one.at).as_secs();
            let least = if other.to < other.from { 300 } else { 30 };
            prop_assert!(pause >= least, "{pause} s between {one:?} and {other:?}");
        }
        prop_assert!(decisions.len() <= 60 * MOST_DECISIONS);
    }

    /// Whatever the shape of a load that comes back within less than ten cooldowns, no replica comes and goes with it.
    #[test]
    fn a_load_that_comes_and_goes_makes_nothing_flap(
        high in 85.0..300.0,
        low in 0.0..40.0,
        half in 1..280_u32,
    ) {
        let mut app = App::of(1);
        for _ in 0..12 {
            app.share(high, half);
            app.share(low, half);
        }
        let falls = app.known.decisions.iter().filter(|decision| decision.to < decision.from);
        prop_assert_eq!(falls.count(), 0);
    }
}
