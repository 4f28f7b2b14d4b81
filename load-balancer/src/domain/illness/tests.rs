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
        measured: None,
    }
}

fn ill(port: u16) -> ContainerUse {
    container(port, true, Some(false), 3)
}

fn well(port: u16) -> ContainerUse {
    container(port, true, Some(true), 0)
}

fn heard(complaints: &mut Complaints, containers: &[ContainerUse], at: Duration) {
    complaints.hear(&"node-1".parse().unwrap(), [192, 0, 2, 1].into(), containers, at);
}

/// Which of three replicas are left out, where `before` were, once their agent has said this.
fn left_out(said: &[ContainerUse], before: &[u16]) -> Vec<u16> {
    let mut complaints = Complaints::default();
    heard(&mut complaints, said, NOW);
    let before: Vec<SocketAddr> = before.iter().copied().map(address).collect();
    let out = complaints.left_out(&[21, 22, 23].map(upstream), &before, NOW);
    out.into_iter().map(|address| address.port()).collect()
}

#[test]
fn only_what_failed_several_looks_in_a_row_is_left_out() {
    assert_eq!(left_out(&[well(21), well(22), well(23)], &[]), NOBODY);
    assert_eq!(left_out(&[well(21), ill(22), well(23)], &[]), [22]);
    assert_eq!(left_out(&[well(21), container(22, true, Some(false), 2), well(23)], &[]), NOBODY);
    assert_eq!(left_out(&[well(21), container(22, true, None, 0), well(23)], &[]), NOBODY);
    // It takes no connections: each request finds that out at once, and goes on to another one.
    assert_eq!(left_out(&[well(21), container(22, false, Some(false), 0), well(23)], &[]), NOBODY);
}

#[test]
fn what_is_left_out_comes_back_when_it_is_found_well_and_not_before() {
    assert_eq!(left_out(&[well(21), well(22), well(23)], &[22]), NOBODY);
    for not_yet in [
        container(22, true, Some(false), 1),
        container(22, true, None, 0),
        container(22, false, None, 0),
    ] {
        assert_eq!(left_out(&[well(21), not_yet, well(23)], &[22]), [22]);
    }
}

#[test]
fn of_a_route_there_is_always_one_that_may_be_well() {
    assert_eq!(left_out(&[ill(21), ill(22), well(23)], &[]), [21, 22]);
    assert_eq!(left_out(&[ill(21), ill(22), ill(23)], &[]), NOBODY);
    assert_eq!(left_out(&[ill(21), ill(22), ill(23)], &[21, 22]), NOBODY);
    let ended = container(23, false, None, 0);
    assert_eq!(left_out(&[ill(21), ill(22), ended], &[21, 22]), NOBODY);
}

#[test]
fn what_nobody_says_counts_as_well() {
    // Nothing is said of the third.
    assert_eq!(left_out(&[ill(21), ill(22)], &[]), [21, 22]);
    let other = SocketAddr::new([192, 0, 2, 2].into(), 22);
    let mut complaints = Complaints::default();
    heard(&mut complaints, &[ill(22)], NOW);
    assert_eq!(complaints.state(other, NOW), State::Silent, "it is of another node");
}

#[test]
fn what_is_old_says_nothing() {
    let mut complaints = Complaints::default();
    heard(&mut complaints, &[ill(22), well(23)], NOW);
    let of = |now| complaints.left_out(&[22, 23].map(upstream), &[], now);
    let moment = Duration::from_millis(1);
    assert_eq!(of((NOW + OLD_AFTER).saturating_sub(moment)), [address(22)]);
    assert!(of(NOW + OLD_AFTER).is_empty());
    assert_eq!(complaints.ill(NOW), [address(22)].into());
    assert!(complaints.ill(NOW + OLD_AFTER).is_empty());
}

#[test]
fn who_begins_to_listen_leaves_all_as_it_is_until_there_was_time_to_hear() {
    let mut complaints = Complaints::default();
    heard(&mut complaints, &[ill(23)], NOW);
    complaints.begin(NOW);
    let of = |now| complaints.left_out(&[22, 23].map(upstream), &[address(22)], now);
    assert_eq!(of(NOW + OLD_AFTER / 2), [address(22)]);
    assert!(of(NOW + OLD_AFTER).is_empty());
}
