use super::*;

fn visited(requests_per_second: f64, latency_ms: Option<f64>) -> Demand {
    Demand { requests_per_second, latency_ms }
}

fn by_traffic(wanted: u32) -> App {
    let mut app = App::of(wanted);
    app.known.scaling.requests_per_second = Some(50);
    app.known.scaling.latency_ms = Some(250);
    app
}

#[test]
fn requests_and_how_long_they_take_overload_replicas_too() {
    for (demand, kind, reason) in [
        (
            visited(101.0, Some(20.0)),
            DecisionKind::Requests,
            "51 requests a second came to each of 2 replicas, more than 50",
        ),
        (
            visited(40.0, Some(251.0)),
            DecisionKind::Latency,
            "one of twenty requests to 2 replicas took longer than 251 ms, more than 250 ms",
        ),
    ] {
        let mut app = by_traffic(2);
        app.demand = Some(demand);
        let Verdict::Decide(draft) = app.cycle(10.0, 20.0) else { panic!("{demand:?} is kept") };
        assert_eq!((draft.to, draft.kind, draft.reason.as_str()), (3, kind, reason));
        // Nobody asked for that of this one.
        let mut app = App::of(2);
        app.demand = Some(demand);
        assert_eq!(kept(&app.cycle(90.0, 20.0)), None);
        assert_eq!(app.kinds(), [DecisionKind::Processor]);
    }
}

#[test]
fn neither_equality_nor_too_few_requests_are_a_reason() {
    let mut app = by_traffic(2);
    for demand in [visited(100.0, Some(250.0)), visited(90.0, None)] {
        app.demand = Some(demand);
        assert_eq!(kept(&app.cycle(10.0, 20.0)), Some(Hold::Content), "{demand:?}");
    }
}

#[test]
fn while_the_edge_does_not_tell_nothing_is_decided() {
    let mut app = by_traffic(1);
    assert_eq!(kept(&app.cycle(100.0, 20.0)), Some(Hold::Unmeasured));
}

#[test]
fn a_replica_goes_only_where_the_others_can_answer_its_requests_in_time() {
    let idle = SCALING.cooldown_seconds * IDLE_COOLDOWNS;
    for (demand, goes) in [
        // Three quarters of 50 for the two that stay.
        (visited(74.0, Some(20.0)), true),
        (visited(76.0, Some(20.0)), false),
        // Three quarters of 250 ms, where half as many requests again come to each.
        (visited(10.0, Some(120.0)), true),
        (visited(10.0, Some(130.0)), false),
        (visited(0.0, None), true),
    ] {
        let mut app = by_traffic(3);
        app.demand = Some(demand);
        for _ in 0..(idle + 1) * 10 {
            app.cycle(10.0, 20.0);
        }
        assert_eq!(app.known.wanted == 2, goes, "{demand:?}");
    }
}

#[test]
fn replicas_that_do_not_make_requests_faster_are_braked() {
    let mut app = by_traffic(1);
    app.known.scaling.max = 10;
    app.demand = Some(visited(10.0, Some(900.0)));
    for _ in 0..300 * 10 {
        app.cycle(10.0, 20.0);
    }
    assert_eq!(
        app.kinds(),
        [DecisionKind::Latency, DecisionKind::Latency, DecisionKind::Latency, DecisionKind::Brake]
    );
    let reason = app.known.decisions.last().unwrap().reason.clone();
    assert!(reason.contains("one of twenty above 900 ms"), "{reason}");
}
