//! One visitor of a port that leads to a machine's network, and the channel to where it leads.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::PollFlags;
use ssh2::{Channel, Error as Refusal};
use tokio::time::Instant;

use super::super::failure::{is_exhausted, is_not_yet};
use super::super::session::Connection;

/// What is on its way in one direction at most.
const PIECE: usize = 32 * 1024;
/// How long the machine may take to say whether anybody listens.
const OPEN: Duration = Duration::from_secs(5);
/// How long both sides may say nothing at all. What is asked may take longer to be answered.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// How long one side may go on after the other one has ended.
const LINGER: Duration = Duration::from_secs(10);

/// Whether anything was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Some,
    Nothing,
}

/// The connection is of no more use.
#[derive(Debug)]
pub(super) struct Lost;

pub(super) struct Link {
    near: TcpStream,
    far: Far,
    there: Pipe,
    back: Pipe,
    is_second_try: bool,
    /// By when somebody has to say something. Nobody has to any more, or yet, without.
    speaks_by: Option<Instant>,
    /// When it ends, one of its sides having ended.
    ends: Option<Instant>,
}

enum Far {
    /// Until when; nothing was asked yet without.
    Opening(Option<Instant>),
    Open(Channel),
    Closing(Channel),
    Over,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    sent: usize,
    is_ended: bool,
    is_end_told: bool,
}

impl Pipe {
    fn is_empty(&self) -> bool {
        self.sent >= self.bytes.len()
    }

    fn wants(&self) -> bool {
        self.is_empty() && !self.is_ended
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Whether all was said, and nobody told so yet.
    fn is_to_end(&self) -> bool {
        self.is_empty() && self.is_ended && !self.is_end_told
    }

    fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        self.sent = 0;
        self.bytes.resize(PIECE, 0);
        let read = from.read(&mut self.bytes);
        self.bytes.truncate(read.as_ref().copied().unwrap_or_default());
        read
    }
}

/// Nothing for now.
fn patient<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

fn would_block(err: &io::Error) -> bool {
    err.kind() == ErrorKind::WouldBlock
}

impl Link {
    pub(super) fn new(near: TcpStream) -> Self {
        Link {
            near,
            far: Far::Opening(None),
            there: Pipe::default(),
            back: Pipe::default(),
            is_second_try: false,
            speaks_by: None,
            ends: None,
        }
    }

    pub(super) fn near(&self) -> &TcpStream {
        &self.near
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.far, Far::Opening(_))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.far, Far::Over)
    }

    /// Whether it is as if it had just come, for another connection. Once.
    pub(super) fn begins_anew(&mut self) -> bool {
        let again = self.is_opening() && !self.is_second_try;
        self.is_second_try = true;
        self.far = if again { Far::Opening(None) } else { Far::Over };
        again
    }

    /// Whether it waits for what the machine says.
    pub(super) fn listens(&self) -> bool {
        match self.far {
            Far::Opening(until) => until.is_some(),
            Far::Open(_) => self.back.wants() || !self.there.is_empty(),
            Far::Closing(_) => true,
            Far::Over => false,
        }
    }

    /// What it waits for of who is near.
    pub(super) fn waits_for(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if matches!(self.far, Far::Open(_)) {
            flags.set(PollFlags::IN, self.there.wants());
            flags.set(PollFlags::OUT, !self.back.is_empty());
        }
        flags
    }

    pub(super) fn exchange(
        &mut self,
        connection: &Connection,
        to: SocketAddr,
        now: Instant,
    ) -> Result<Moved, Lost> {
        match &mut self.far {
            Far::Opening(until) => {
                let until = *until.get_or_insert(now + OPEN);
                self.open(connection, to, (now, until))
            }
            Far::Open(_) => self.carry(connection, now),
            Far::Closing(channel) => {
                let closed = connection.attempt(is_not_yet, || channel.close());
                let is_late = self.ends.is_none_or(|ends| now >= ends);
                if !matches!(closed, Ok(None)) || is_late {
                    self.far = Far::Over;
                    return Ok(Moved::Some);
                }
                Ok(Moved::Nothing)
            }
            Far::Over => Ok(Moved::Nothing),
        }
    }

    fn open(
        &mut self,
        connection: &Connection,
        to: SocketAddr,
        (now, until): (Instant, Instant),
    ) -> Result<Moved, Lost> {
        let (host, port) = (to.ip().to_string(), to.port());
        let open = || connection.session.channel_direct_tcpip(&host, port, None);
        match connection.attempt(is_not_yet, open) {
            Ok(Some(channel)) => {
                self.far = Far::Open(channel);
                self.speaks_by = Some(now + FIRST_WORD);
            }
            // The library asks nothing else before this is answered.
            Ok(None) if now >= until => return Err(Lost),
            Ok(None) => return Ok(Moved::Nothing),
            Err(err) if is_exhausted(&err) => self.far = Far::Over,
            Err(_) => return Err(Lost),
        }
        Ok(Moved::Some)
    }

    fn carry(&mut self, connection: &Connection, now: Instant) -> Result<Moved, Lost> {
        let moved = match self.both_ways(connection) {
            Ok(moved) => moved,
            Err(_) if connection.is_gone() => return Err(Lost),
            Err(_) => {
                self.close(now);
                return Ok(Moved::Some);
            }
        };
        let is_done = self.back.is_end_told && self.there.is_end_told;
        if is_done || self.says_nothing(moved, now) {
            self.close(now);
        } else if self.back.is_end_told || self.there.is_end_told {
            let ends = *self.ends.get_or_insert(now + LINGER);
            if now >= ends {
                self.close(now);
            }
        }
        Ok(moved)
    }

    /// Whether nobody said anything in time: it only keeps others from its place.
    fn says_nothing(&mut self, moved: Moved, now: Instant) -> bool {
        if moved == Moved::Some {
            self.speaks_by = None;
        }
        self.speaks_by.is_some_and(|by| now >= by)
    }

    fn both_ways(&mut self, connection: &Connection) -> io::Result<Moved> {
        let Far::Open(channel) = &mut self.far else { return Ok(Moved::Nothing) };
        let mut moved = Moved::Nothing;
        if self.there.wants()
            && let Some(length) = patient(self.there.fill(&mut self.near))?
        {
            self.there.is_ended = length == 0;
            moved = Moved::Some;
        }
        if !self.there.is_empty() {
            let write = || channel.write(self.there.rest());
            if let Some(length) = connection.attempt(would_block, write)? {
                self.there.sent += length;
                moved = Moved::Some;
            }
        }
        if self.there.is_to_end() {
            let told = connection.attempt(is_not_yet, || channel.send_eof());
            self.there.is_end_told = told.map_err(broken)?.is_some();
        }
        if self.back.wants() {
            let read = || self.back.fill(channel);
            if let Some(length) = connection.attempt(would_block, read)? {
                self.back.is_ended = length == 0 && channel.eof();
                moved = if length > 0 || self.back.is_ended { Moved::Some } else { moved };
            }
        }
        if !self.back.is_empty()
            && let Some(length) = patient(self.near.write(self.back.rest()))?
        {
            self.back.sent += length;
            moved = Moved::Some;
        }
        if self.back.is_to_end() {
            self.near.shutdown(Shutdown::Write)?;
            self.back.is_end_told = true;
        }
        Ok(moved)
    }

    /// Who is near is hung up on; what the machine has to say about it is waited for.
    fn close(&mut self, now: Instant) {
        drop(self.near.shutdown(Shutdown::Both));
        self.ends = Some(now + LINGER);
        self.far = match std::mem::replace(&mut self.far, Far::Over) {
            Far::Open(channel) => Far::Closing(channel),
            Far::Opening(_) | Far::Closing(_) | Far::Over => Far::Over,
        };
    }
}

fn broken(err: Refusal) -> io::Error {
    err.into()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn whoever_says_nothing_at_all_is_given_up_and_whoever_waits_for_an_answer_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (opened, mut link) = (Instant::now(), Link::new(near));
        let (soon, late) = (opened + FIRST_WORD / 2, opened + FIRST_WORD);
        assert!(!link.says_nothing(Moved::Nothing, late), "it is not open yet");
        link.speaks_by = Some(opened + FIRST_WORD);
        assert!(!link.says_nothing(Moved::Nothing, soon));
        assert!(link.says_nothing(Moved::Nothing, late));
        assert!(!link.says_nothing(Moved::Some, soon));
        assert!(!link.says_nothing(Moved::Nothing, late + FIRST_WORD), "it asked something");
    }
}
