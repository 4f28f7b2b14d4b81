//! One connection: made, greeted, compared with its pin and signed in, each step within one deadline.
//!
//! The library never blocks here: whatever would is tried again once the socket is ready, so that every deadline is
//! ours. Its own waiting counts whole seconds, and its handle must be left non-blocking for good: the two ways do
//! not mix within a call.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use common::port::Cause;
use common::port::host::{Error, Gate, HostKey, KeyAlgorithm, Phase};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use ssh2::{BlockDirections, Error as Refusal, MethodType, Session};
use tokio::time::Instant;

use super::failure::is_not_yet;
use super::key;

/// Whoever acknowledges nothing for so long is gone, whatever its deadline.
const SILENCE: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// The longest wait for a socket before everything is looked at again.
const LOOK: Duration = Duration::from_millis(100);

/// Why a step ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Late,
    Said(Refusal),
    Broken(io::Error),
}

impl Stop {
    pub(super) fn into_cause(self) -> Cause {
        match self {
            Stop::Late => "it took too long".into(),
            Stop::Said(err) => Box::new(err),
            Stop::Broken(err) => Box::new(err),
        }
    }
}

/// A connection to a machine whose host key is known; who signs in is another matter.
pub(super) struct Connection {
    pub(super) session: Session,
    socket: TcpStream,
    pub(super) host_key: HostKey,
}

impl Connection {
    /// Connects and learns the host key, of the preferred kind if the machine has one.
    pub(super) fn open(
        at: &Gate,
        preferred: Option<KeyAlgorithm>,
        until: Instant,
        budget: Duration,
    ) -> Result<Self, Error> {
        let unreachable = |source: Cause| Error::Unreachable { at: at.clone(), source };
        let late = |stalled| Error::ConnectTimeout { at: at.clone(), after: budget, stalled };
        let socket = dial(at, until).map_err(|err| {
            let is_late = matches!(err.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
            if is_late { late(Phase::Connecting) } else { unreachable(Box::new(err)) }
        })?;
        let session = greet(&socket, preferred, until).map_err(|stop| match stop {
            Stop::Late => late(Phase::Greeting),
            Stop::Said(_) | Stop::Broken(_) => unreachable(stop.into_cause()),
        })?;
        let shown = session.host_key().and_then(|(blob, _)| key::host_key(blob));
        let host_key = shown.ok_or_else(|| unreachable("it showed no host key".into()))?;
        Ok(Connection { session, socket, host_key })
    }

    /// Repeats a step until it is done, has failed, or the time is over.
    pub(super) fn patiently<T>(
        &self,
        until: Instant,
        step: impl FnMut(&mut Session) -> Result<T, Refusal>,
    ) -> Result<T, Stop> {
        patiently(&self.session, &self.socket, until, step)
    }

    /// Tries a step once, and again only while half a packet has to go out before anything else can. None where the
    /// machine has to say something first.
    pub(super) fn attempt<T, E>(
        &self,
        is_not_yet: impl Fn(&E) -> bool,
        mut step: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let until = Instant::now() + SILENCE;
        loop {
            match step() {
                Ok(done) => return Ok(Some(done)),
                Err(err) if is_not_yet(&err) => {}
                Err(err) => return Err(err),
            }
            let is_half_said = matches!(
                self.session.block_directions(),
                BlockDirections::Outbound | BlockDirections::Both
            );
            if !is_half_said
                || Instant::now() >= until
                || wait(&self.socket, PollFlags::OUT, LOOK).is_err()
            {
                return Ok(None);
            }
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether nothing comes from there any more.
    pub(super) fn is_gone(&self) -> bool {
        match self.socket.peek(&mut [0]) {
            Ok(length) => length == 0,
            Err(err) => !matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Waits until the machine says something, or listens again if that is what was waited for, but no longer than a moment.
    pub(super) fn rest(&self, at_most: Duration) -> Result<(), Stop> {
        rest(&self.session, &self.socket, at_most.min(LOOK))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without a socket the library waits for nobody when it frees what it has.
        drop(self.session.disconnect(None, "done", None));
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

fn dial(at: &Gate, until: Instant) -> io::Result<TcpStream> {
    let addresses: Vec<_> = (at.address.as_str(), at.port).to_socket_addrs()?.collect();
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        // Each address gets its share of what is left: the first may be a hole.
        let shares = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = until.duration_since(Instant::now()) / shares;
        if share.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(socket) => return tuned(socket),
            Err(err) => failure = err,
        }
    }
    Err(failure)
}

/// A peer that is gone without a word is noticed, also while nothing is under way.
fn tuned(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, PROBE_EVERY)?;
    sockopt::set_tcp_keepintvl(&socket, PROBE_EVERY)?;
    sockopt::set_tcp_user_timeout(&socket, u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX))?;
    Ok(socket)
}

fn greet(
    socket: &TcpStream,
    preferred: Option<KeyAlgorithm>,
    until: Instant,
) -> Result<Session, Stop> {
    let mut session = Session::new().map_err(Stop::Said)?;
    session.set_tcp_stream(socket.try_clone().map_err(Stop::Broken)?);
    session.set_blocking(false);
    let others = KeyAlgorithm::ALL.into_iter().filter(|other| Some(*other) != preferred);
    let names: Vec<&str> = preferred.into_iter().chain(others).map(key::signatures).collect();
    session.method_pref(MethodType::HostKey, &names.join(",")).map_err(Stop::Said)?;
    patiently(&session, socket, until, Session::handshake)?;
    Ok(session)
}

fn patiently<T>(
    session: &Session,
    socket: &TcpStream,
    until: Instant,
    mut step: impl FnMut(&mut Session) -> Result<T, Refusal>,
) -> Result<T, Stop> {
    let mut handle = session.clone();
    loop {
        match step(&mut handle) {
            Err(err) if is_not_yet(&err) => {}
            Err(err) => return Err(Stop::Said(err)),
            Ok(done) => return Ok(done),
        }
        let left = until.duration_since(Instant::now());
        if left.is_zero() {
            return Err(Stop::Late);
        }
        rest(session, socket, left.min(LOOK))?;
    }
}

fn rest(session: &Session, socket: &TcpStream, at_most: Duration) -> Result<(), Stop> {
    // What the machine says is always waited for: it may be what makes room.
    let flags = match session.block_directions() {
        BlockDirections::Outbound | BlockDirections::Both => PollFlags::IN | PollFlags::OUT,
        BlockDirections::Inbound | BlockDirections::None => PollFlags::IN,
    };
    wait(socket, flags, at_most)
}

fn wait(socket: &TcpStream, flags: PollFlags, at_most: Duration) -> Result<(), Stop> {
    let mut sockets = [PollFd::new(socket, flags)];
    let limit = Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
    match poll(&mut sockets, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(err) => Err(Stop::Broken(err.into())),
    }
}
