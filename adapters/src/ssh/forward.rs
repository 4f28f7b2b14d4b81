//! A port of this computer that leads to a machine's network: a listener on loopback whose visitors are channels of one
//! connection, made again when it was lost. One thread serves them all and waits for none of them alone.

mod link;

use std::io::{self, ErrorKind, Read as _};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use common::port::host::{self, Access, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::session::Connection;
use super::sign_in;
use link::{Link, Moved};

/// How many may be connected at once; others wait to be accepted.
const LINKS: usize = 16;
/// How long a connection is kept that nobody uses: nobody reads then what the machine says.
const IDLE: Duration = Duration::from_secs(10);
/// The longest wait before deadlines are looked at again.
const LOOK: Duration = Duration::from_millis(500);
/// What is there to be read is looked for at once, so often, before anybody waits.
const ROUNDS: usize = 64;

/// A port that leads somewhere. When it is dropped its thread ends, and everything with it.
#[derive(Debug)]
pub(super) struct Way {
    at: SocketAddr,
    _holds: UnixStream,
}

impl host::Forward for Way {
    fn at(&self) -> SocketAddr {
        self.at
    }
}

/// Signs in and begins to listen.
pub(super) fn open(
    access: Access,
    to: SocketAddr,
    budget: Duration,
    permit: OwnedSemaphorePermit,
) -> Result<Way, Error> {
    let connection = sign_in::connect(&access, budget)?;
    let began = begin().map_err(|_| Error::SessionsExhausted { at: access.at.clone() });
    let (listener, at, holds, held) = began?;
    let mut server = Server {
        access,
        to,
        budget,
        listener,
        held,
        connection: Some(connection),
        links: Vec::new(),
        listens: true,
        idle_until: Instant::now() + IDLE,
    };
    thread::spawn(move || {
        server.serve();
        drop(permit);
    });
    Ok(Way { at, _holds: holds })
}

fn begin() -> io::Result<(TcpListener, SocketAddr, UnixStream, UnixStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    let (holds, held) = UnixStream::pair()?;
    held.set_nonblocking(true)?;
    Ok((listener, at, holds, held))
}

struct Server {
    access: Access,
    to: SocketAddr,
    budget: Duration,
    listener: TcpListener,
    /// Ends when nobody has the way any more.
    held: UnixStream,
    connection: Option<Connection>,
    links: Vec<Link>,
    /// Not where it cannot accept, as while there are no descriptors: who waits would be told of without end.
    listens: bool,
    idle_until: Instant,
}

impl Server {
    fn serve(&mut self) {
        while self.is_held() {
            self.accept();
            self.connect();
            let mut rounds = 0;
            while self.exchange() == Moved::Some && rounds < ROUNDS {
                rounds += 1;
            }
            if rounds < ROUNDS && self.wait().is_err() {
                return;
            }
        }
    }

    fn is_held(&mut self) -> bool {
        let end = self.held.read(&mut [0]);
        end.is_err_and(|err| matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted))
    }

    fn accept(&mut self) {
        self.listens = true;
        while self.links.len() < LINKS {
            match self.listener.accept() {
                Ok((near, _)) => {
                    let is_ready = near.set_nonblocking(true).and_then(|()| near.set_nodelay(true));
                    if is_ready.is_ok() {
                        self.links.push(Link::new(near));
                    }
                }
                Err(err) => {
                    self.listens = is_of_one(&err);
                    return;
                }
            }
        }
    }

    /// A connection is made again for who waits. Who waits in vain is hung up on.
    fn connect(&mut self) {
        if self.connection.is_some() || self.links.is_empty() {
            return;
        }
        match sign_in::connect(&self.access, self.budget) {
            Ok(connection) => self.connection = Some(connection),
            Err(err) => {
                let error = &err as &dyn std::error::Error;
                tracing::debug!(to = %self.to, error, "a way to a machine's network cannot be made again");
                self.links.clear();
            }
        }
    }

    fn exchange(&mut self) -> Moved {
        let Some(connection) = &self.connection else { return Moved::Nothing };
        let (now, mut moved, mut is_lost) = (Instant::now(), Moved::Nothing, false);
        // The library opens one channel at a time.
        let mut may_open = true;
        for link in &mut self.links {
            if link.is_opening() && !mem::replace(&mut may_open, false) {
                continue;
            }
            match link.exchange(connection, self.to, now) {
                Ok(Moved::Some) => moved = Moved::Some,
                Ok(Moved::Nothing) => {}
                Err(_) => is_lost = true,
            }
        }
        self.links.retain(|link| !link.is_over());
        if is_lost {
            // Who was connected is hung up on; who was not yet may be on the next one.
            self.links.retain_mut(Link::begins_anew);
            self.connection = None;
            return Moved::Some;
        }
        if !self.links.is_empty() {
            self.idle_until = now + IDLE;
        } else if now >= self.idle_until {
            self.connection = None;
        }
        moved
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let limit = Timespec::try_from(LOOK).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut self.awaited(), Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    fn awaited(&self) -> Vec<PollFd<'_>> {
        let is_full = self.links.len() >= LINKS;
        let mut sockets = vec![PollFd::new(&self.held, PollFlags::IN)];
        if !is_full && self.listens {
            sockets.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        if let Some(connection) = &self.connection
            && self.links.iter().any(Link::listens)
        {
            sockets.push(PollFd::new(connection.socket(), PollFlags::IN));
        }
        for link in &self.links {
            let flags = link.waits_for();
            if !flags.is_empty() {
                sockets.push(PollFd::new(link.near(), flags));
            }
        }
        sockets
    }
}

/// Whether it is nobody's who waits still: nobody does, or he left.
fn is_of_one(err: &io::Error) -> bool {
    let kinds = [ErrorKind::WouldBlock, ErrorKind::ConnectionAborted, ErrorKind::Interrupted];
    kinds.contains(&err.kind())
}

#[cfg(test)]
mod tests;
