//! What holds of ports that lead to a machine's network.

use std::net::SocketAddr;
use std::time::Duration;

use common::port::host::Forward;
use tokio::time::sleep;

use super::{World, signed_in, within};

const MUCH: usize = 3 * 1024 * 1024;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

async fn way(world: &dyn World, to: SocketAddr) -> Box<dyn Forward> {
    let host = signed_in(world).await;
    let way = within(host.forward(to)).await.expect("a way is opened");
    assert!(way.at().ip().is_loopback(), "for this computer alone");
    way
}

async fn answers(world: &dyn World, way: &dyn Forward, words: &[u8]) -> Option<Vec<u8>> {
    within(world.say(way.at(), words)).await
}

pub(super) async fn lead_to_what_the_machine_alone_reaches(world: &dyn World) {
    let way = way(world, world.echo()).await;
    let much: Vec<u8> = (0..=250_u8).cycle().take(MUCH).collect();
    let said = answers(world, way.as_ref(), &much).await;
    assert!(said.is_some_and(|said| said == much), "all of it comes back");
    let (one, other) =
        tokio::join!(answers(world, way.as_ref(), b"one"), answers(world, way.as_ref(), b"other"));
    assert_eq!((one, other), (Some(b"one".into()), Some(b"other".into())), "each its own");
}

pub(super) async fn to_nobody_lead_nowhere_and_others_go_on(world: &dyn World) {
    let echo = world.echo();
    let nobody = way(world, SocketAddr::new(echo.ip(), echo.port() + 1)).await;
    let other = way(world, echo).await;
    assert_eq!(answers(world, nobody.as_ref(), b"who?").await, None, "nobody is there");
    assert_eq!(answers(world, other.as_ref(), b"who?").await, Some(b"who?".into()));
}

pub(super) async fn lead_there_again_after_the_connection_was_lost(world: &dyn World) {
    let way = way(world, world.echo()).await;
    assert_eq!(answers(world, way.as_ref(), b"first").await, Some(b"first".into()));
    world.cut().await;
    assert_eq!(answers(world, way.as_ref(), b"then").await, Some(b"then".into()), "made again");
}

pub(super) async fn end_with_who_has_them(world: &dyn World) {
    let way = way(world, world.echo()).await;
    let at = way.at();
    assert_eq!(answers(world, way.as_ref(), b"now").await, Some(b"now".into()));
    drop(way);
    let ended = async {
        while world.say(at, b"later").await.is_some() {
            sleep(LOOK_AGAIN).await;
        }
    };
    within(ended).await;
}
