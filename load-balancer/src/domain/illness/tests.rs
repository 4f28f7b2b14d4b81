use common::id::{Generation, SlotNumber};
use common::port::edge::Weight;

use super::*;

const NOBODY: [u16; 0] = [];
const NOW: Duration = Duration::from_mins(1);

fn upstream(port: u16) -> Upstream {
    let slot = SlotNumber(u32::from(port) % 10);
    Upstream { ip: [192, 0, 2, 1].into(), port, slot, weight: Weight::ONE }
}

fn address(port: u16) -> SocketAddr {
    upstream(port).address()
}

fn container(port: u16, running: bool, healthy: Option<bool>, failed_looks: u32) -> ContainerUse {
    ContainerUse {
        name: "shop_instance_1".parse().unwrap(),
        id: "abc".to_owned(),
        generation: Generation(1),
        host_port: port,
        running,
        healthy,
        failed_looks,
        cpu_percent: 0.0,
        memory_percent: 0.0,
        restarts: 0,
        ended_ill: None,
        measured: None,
    }
}

fn ill(port: u16) -> ContainerUse {
    container(port, true, Some(false), 3)
}

fn well(port: u16) -> ContainerUse {
    container(port, true, Some(true), 0)
}

/// It was started, and is not looked at yet.
fn starting(port: u16) -> ContainerUse {
    container(port, true, None, 0)
}

fn heard(complaints: &mut Complaints, containers: &[ContainerUse], at: Duration) {
    complaints.hear(&"node-1".parse().unwrap(), [192, 0, 2, 1].into(), containers, at);
}

fn ports(addresses: &[SocketAddr]) -> Vec<u16> {
    addresses.iter().map(SocketAddr::port).collect()
}

fn left_out_of(
    upstreams: &[Upstream],
    said: &[ContainerUse],
    before: &[u16],
    pace: Pace,
) -> Vec<u16> {
    let mut complaints = Complaints::default();
    heard(&mut complaints, said, NOW);
    let before: Vec<SocketAddr> = before.iter().copied().map(address).collect();
    ports(&complaints.left_out(upstreams, &before, pace, NOW))
}

/// Which of three replicas are left out, where `before` were, once their agent has said this.
fn left_out(said: &[ContainerUse], before: &[u16]) -> Vec<u16> {
    left_out_of(&[21, 22, 23].map(upstream), said, before, Pace::Free)
}

/// The same, of two.
fn left_out_of_two(said: &[ContainerUse], before: &[u16]) -> Vec<u16> {
    left_out_of(&[21, 22].map(upstream), said, before, Pace::Free)
}

#[test]
fn only_what_failed_several_looks_in_a_row_is_left_out() {
    assert_eq!(left_out(&[well(21), well(22), well(23)], &[]), NOBODY);
    assert_eq!(left_out(&[well(21), ill(22), well(23)], &[]), [22]);
    assert_eq!(left_out(&[well(21), container(22, true, Some(false), 2), well(23)], &[]), NOBODY);
    assert_eq!(left_out(&[well(21), starting(22), well(23)], &[]), NOBODY);
    // It takes no connections: each request finds that out at once, and goes on to another one.
    assert_eq!(left_out(&[well(21), container(22, false, Some(false), 0), well(23)], &[]), NOBODY);
}

#[test]
fn what_is_left_out_comes_back_when_it_is_found_well_and_not_before() {
    assert_eq!(left_out(&[well(21), well(22), well(23)], &[22]), NOBODY);
    for not_yet in [
        container(22, true, Some(false), 1),
        // Somebody else's look at it.
        container(22, true, Some(true), 1),
        starting(22),
        container(22, false, None, 0),
    ] {
        assert_eq!(left_out(&[well(21), not_yet, well(23)], &[22]), [22]);
    }
}

#[test]
fn what_is_gone_stays_left_out_until_a_look_finds_it_well() {
    // As an agent says it that was started anew: nothing, then that it runs, then what its first look found.
    assert_eq!(left_out(&[well(21), well(23)], &[22]), [22]);
    assert_eq!(left_out(&[well(21), starting(22), well(23)], &[22]), [22]);
    assert_eq!(left_out(&[well(21), well(22), well(23)], &[22]), NOBODY);
    assert_eq!(left_out(&[well(21), well(23)], &[]), NOBODY, "it was served");
}

#[test]
fn somebody_is_left_out_only_while_another_one_was_found_well() {
    assert_eq!(left_out_of_two(&[well(21), ill(22)], &[]), [22]);
    assert_eq!(left_out_of_two(&[ill(21), ill(22)], &[]), NOBODY, "all ill ones stay");
    assert_eq!(left_out_of_two(&[ill(22)], &[]), NOBODY, "the other one is gone, or its node is");
    for other in
        [starting(21), container(21, false, Some(true), 0), container(21, true, Some(false), 1)]
    {
        for before in [&[][..], &[22]] {
            let said = [other.clone(), ill(22)];
            assert_eq!(left_out_of_two(&said, before), NOBODY, "{other:?}");
        }
    }
}

#[test]
fn who_is_not_heard_stands_in_for_nobody() {
    let dead = Upstream { ip: [192, 0, 2, 2].into(), ..upstream(21) };
    let both = [dead, upstream(22)];
    for before in [&[][..], &[22]] {
        assert_eq!(left_out_of(&both, &[ill(22)], before, Pace::Free), NOBODY);
    }
    let mut complaints = Complaints::default();
    let other = [192, 0, 2, 2].into();
    complaints.hear(&"node-2".parse().unwrap(), other, &[well(21)], NOW);
    let later = NOW + OLD_AFTER;
    heard(&mut complaints, &[ill(22)], later);
    assert_eq!(complaints.state(SocketAddr::new(other, 21), later), State::Silent);
    assert!(complaints.left_out(&both, &[], Pace::Free, later).is_empty(), "that is long ago");
}

#[test]
fn of_one_weight_at_most_half_are_left_out() {
    let all = [21, 22, 23, 24, 25].map(upstream);
    for (replicas, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let mut said: Vec<ContainerUse> = (21..20 + replicas).map(ill).collect();
        said.push(well(20 + replicas));
        let of = &all[..usize::from(replicas)];
        assert_eq!(left_out_of(of, &said, &[], Pace::Free).len(), most, "of {replicas}");
    }
    // Who is left out stays so, as long as it fits.
    assert_eq!(left_out(&[ill(21), ill(22), well(23)], &[22]), [22]);
    assert_eq!(left_out(&[ill(21), ill(22), well(23)], &[21, 22]), [21]);
}

#[test]
fn a_canary_does_not_stand_in_for_what_is_served() {
    let weighed = |port, weight: u16| Upstream {
        weight: Weight::try_from(weight).unwrap(),
        ..upstream(port)
    };
    let canary = [weighed(21, 9), weighed(22, 1), weighed(23, 1)];
    let of = |said: &[ContainerUse], before: &[u16]| left_out_of(&canary, said, before, Pace::Free);
    for before in [&[][..], &[21]] {
        assert_eq!(of(&[ill(21), well(22), well(23)], before), NOBODY);
    }
    assert_eq!(of(&[ill(21), ill(22), well(23)], &[]), [22]);
}

#[test]
fn a_canary_of_equal_weight_is_of_another_generation() {
    let newer = ContainerUse { generation: Generation(2), ..well(22) };
    for before in [&[][..], &[21]] {
        assert_eq!(left_out_of_two(&[ill(21), newer.clone()], before), NOBODY);
    }
}

#[test]
fn after_one_was_put_back_nobody_else_is_left_out_for_a_while() {
    let all = [21, 22, 23, 24].map(upstream);
    let of = |said: &[ContainerUse], pace| left_out_of(&all, said, &[22], pace);
    let two = [well(21), ill(22), ill(23), well(24)];
    assert_eq!(of(&two, Pace::Free), [22, 23]);
    assert_eq!(of(&two, Pace::Calm), [22], "it was left out before");
    assert_eq!(of(&[well(21), well(22), ill(23), well(24)], Pace::Calm), NOBODY);

    let wall = |second| Timestamp::from_second(second).unwrap();
    let decision =
        |kind, second| Decision { at: wall(second), kind, reason: "it is so".to_owned() };
    let decisions = [decision(DecisionKind::PutBack, 1000), decision(DecisionKind::LeftOut, 1050)];
    for (now, pace) in
        [(1000, Pace::Calm), (1029, Pace::Calm), (1030, Pace::Free), (1051, Pace::Free)]
    {
        assert_eq!(Pace::of(&decisions, wall(now)), pace, "{now}");
    }
    assert_eq!(Pace::of(&decisions, wall(971)), Pace::Calm, "clocks differ");
    assert_eq!(Pace::of(&decisions, wall(970)), Pace::Free, "a clock that jumped is no reason");
    assert_eq!(Pace::of(&decisions[1..], wall(1051)), Pace::Free);
}

#[test]
fn a_container_that_ended_says_nothing_of_the_one_that_has_its_port() {
    let ended = container(22, false, None, 0);
    for said in [[ended.clone(), ill(22), well(21)], [ill(22), ended.clone(), well(21)]] {
        assert_eq!(left_out_of_two(&said, &[]), [22]);
    }
    for said in [[ended.clone(), well(22), ill(21)], [well(22), ended, ill(21)]] {
        assert_eq!(left_out_of_two(&said, &[]), [21]);
    }
}

#[test]
fn what_is_old_is_not_known() {
    let mut complaints = Complaints::default();
    heard(&mut complaints, &[ill(22), well(23)], NOW);
    let of = |now| ports(&complaints.left_out(&[22, 23].map(upstream), &[], Pace::Free, now));
    let moment = Duration::from_millis(1);
    assert_eq!(of((NOW + OLD_AFTER).saturating_sub(moment)), [22]);
    assert_eq!(of(NOW + OLD_AFTER), NOBODY);
    assert_eq!(complaints.ill(NOW), [address(22)].into());
    assert!(complaints.ill(NOW + OLD_AFTER).is_empty());
}

#[test]
fn a_silent_node_leaves_out_nobody_and_puts_back_nobody_while_others_are_well() {
    let mut complaints = Complaints::default();
    let away = Upstream { ip: [192, 0, 2, 2].into(), ..upstream(22) };
    let both = [upstream(21), away.clone()];
    let of = |complaints: &Complaints, before: &[SocketAddr]| {
        complaints.left_out(&both, before, Pace::Free, NOW)
    };
    heard(&mut complaints, &[well(21)], NOW);
    assert_eq!(complaints.state(away.address(), NOW), State::Silent);
    assert_eq!(of(&complaints, &[away.address()]), [away.address()]);
    assert_eq!(of(&complaints, &[]), []);
    heard(&mut complaints, &[ill(21)], NOW);
    assert_eq!(of(&complaints, &[away.address()]), []);
}

#[test]
fn who_begins_to_listen_leaves_all_as_it_is_until_there_was_time_to_hear() {
    let mut complaints = Complaints::default();
    heard(&mut complaints, &[ill(23)], NOW);
    complaints.begin(NOW);
    let of = |complaints: &Complaints, before: &[SocketAddr], now| {
        ports(&complaints.left_out(&[22, 23].map(upstream), before, Pace::Free, now))
    };
    let early = NOW + OLD_AFTER / 2;
    assert_eq!(of(&complaints, &[address(22)], early), [22]);
    assert_eq!(of(&complaints, &[address(22)], NOW + OLD_AFTER), NOBODY);
    heard(&mut complaints, &[ill(23)], early);
    assert_eq!(of(&complaints, &[], early), NOBODY, "nobody new, before the others are heard");
}
