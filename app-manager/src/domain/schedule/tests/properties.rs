//! What holds of every schedule, at every time, whatever the clock does.

use proptest::prelude::*;

use super::*;

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/Sao_Paulo",
        "Pacific/Apia",
    ])
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let length = prop_oneof![
        (0..24_i8, 0..60_i8)
            .prop_map(|(hour, minute)| Length::Until(Time::constant(hour, minute, 0, 0))),
        (1..23 * 60_i64).prop_map(|count| Length::For(minutes(count))),
    ];
    let at = (0..24_i8, 0..60_i8).prop_map(|(hour, minute)| Time::constant(hour, minute, 0, 0));
    let days = prop::collection::btree_set(prop::sample::select(Day::ALL.to_vec()), 1..7);
    let when = prop_oneof![
        (at.clone(), length.clone()).prop_map(|(at, length)| When::Daily { at, length }),
        (days, at, length).prop_map(|(days, at, length)| When::Weekly { days, at, length }),
        (5..60_u32, 0..24_u32, 1..5_i64).prop_map(|(step, hour, count)| When::Cron {
            expression: format!("*/{step} {hour}-23 * * *"),
            length: minutes(count),
        }),
    ];
    (zones(), when).prop_map(|(zone, when)| in_zone(zone, when))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_come_one_after_another(schedule in schedules(), day in 0..3000_i64) {
        let calendar = Calendar::of(&schedule).unwrap();
        let from = moment("2020-01-01T00:00:00Z") + hours(24 * day);
        let mut before: Option<Occurrence> = None;
        let mut after = calendar.local(from);
        for _ in 0..50 {
            let Some(window) = calendar.first_after(after) else { break };
            prop_assert!(window.local > after);
            prop_assert!(window.end.unwrap() >= window.start);
            if let Some(before) = before {
                prop_assert!(window.start > before.start);
                prop_assert!(before.end.unwrap() <= window.start);
            }
            after = window.local;
            before = Some(window);
        }
    }

    #[test]
    fn whatever_the_clock_shows_each_start_and_each_end_comes_once_and_in_turn(
        schedule in schedules(),
        steps in prop::collection::vec(-90..240_i64, 1..200),
    ) {
        let mut now = moment("2027-03-26T00:00:00Z");
        let mut kept = Kept::new(&schedule, now);
        for step in steps {
            now += minutes(step);
            kept.look(now);
        }
        let mut open = None;
        let mut last = None;
        for (what, window) in &kept.log {
            match *what {
                "end" => prop_assert_eq!(open.take(), Some(*window)),
                _ => {
                    prop_assert_eq!(open, None);
                    prop_assert!(last.is_none_or(|last| last < *window), "{:?}", kept.log);
                    last = Some(*window);
                    open = (*what == "start").then_some(*window);
                }
            }
        }
    }

    #[test]
    fn who_looks_each_minute_skips_nothing(schedule in schedules()) {
        prop_assume!(schedule.check(moment("2027-01-01T00:00:00Z"), Lateness::Refused).is_ok());
        let begin = moment("2027-06-01T00:00:00Z");
        let mut kept = Kept::new(&schedule, begin);
        for minute in 0..4 * 24 * 60 {
            kept.look(begin + minutes(minute));
        }
        prop_assert!(kept.log.iter().all(|(what, _)| *what != "skip"), "{:?}", kept.log);
    }

    #[test]
    fn a_schedule_is_stored_and_read_back(schedule in schedules()) {
        let text = serde_json::to_string(&schedule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
    }

    #[test]
    fn no_expression_breaks_the_reading(text in "\\PC{0,40}") {
        let schedule = cron("UTC", &text, minutes(1));
        drop(schedule.check(moment("2027-01-01T00:00:00Z"), Lateness::Refused));
    }

    #[test]
    fn no_name_breaks_the_search_for_a_zone(text in "\\PC{0,40}") {
        drop(zone(&text));
    }
}
