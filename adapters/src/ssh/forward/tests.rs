//! A listener whose visitors cannot be accepted.

use std::net::TcpStream;
use std::os::fd::{AsFd as _, AsRawFd as _};

use common::port::host::{Credential, Gate};
use rustix::io::Errno;

use super::*;

fn server() -> (Server, SocketAddr, UnixStream) {
    let (listener, at, holds, held) = begin().unwrap();
    let fingerprint = "A".repeat(43);
    let access = Access {
        at: Gate { address: "192.0.2.1".to_owned(), port: 22 },
        user: "ops".to_owned(),
        credential: Credential::KeyFile("/nowhere".into()),
        host_key: format!("ssh-ed25519 SHA256:{fingerprint}").parse().unwrap(),
    };
    let server = Server {
        access,
        to: at,
        budget: LOOK,
        listener,
        held,
        connection: None,
        links: Vec::new(),
        listens: true,
        idle_until: Instant::now() + IDLE,
    };
    (server, at, holds)
}

fn waits_for_visitors(server: &Server) -> bool {
    let listener = server.listener.as_raw_fd();
    server.awaited().iter().any(|socket| socket.as_fd().as_raw_fd() == listener)
}

#[test]
fn visitors_that_cannot_be_accepted_are_not_waited_for_until_it_was_tried_again() {
    let (mut server, at, _holds) = server();
    server.accept();
    assert!(waits_for_visitors(&server), "nobody came yet");
    let _visitor = TcpStream::connect(at).unwrap();
    // As after an attempt that failed: he would be told of at once, and again.
    server.listens = false;
    assert!(!waits_for_visitors(&server));
    while server.links.is_empty() {
        server.wait().unwrap();
        server.accept();
    }
    assert!(waits_for_visitors(&server));
}

#[test]
fn only_who_left_or_nobody_is_no_reason_to_rest() {
    for (errno, rests) in [
        (Errno::MFILE, true),
        (Errno::NFILE, true),
        (Errno::NOBUFS, true),
        (Errno::NOMEM, true),
        (Errno::WOULDBLOCK, false),
        (Errno::CONNABORTED, false),
        (Errno::INTR, false),
    ] {
        assert_eq!(!is_of_one(&errno.into()), rests, "{errno:?}");
    }
}
