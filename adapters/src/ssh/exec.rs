//! One command on a connection: its input is written and both its outputs are read as they come, on one thread.
//!
//! Whoever reads one stream to its end before the other waits for ever: a machine that may not say any more on the
//! one says nothing on the other.

use std::io::{ErrorKind, Read, Write as _};
use std::time::Duration;

use bytes::Bytes;
use common::port::host::{End, Output};
use ssh2::{Channel, Error as Refusal};
use tokio::time::Instant;

use super::failure::is_exhausted;
use super::input::{Input, Next};
use super::session::{Connection, Stop};

const PIECE: usize = 32 * 1024;
/// How soon input that was not there is looked for again.
const SOON: Duration = Duration::from_millis(5);

/// What a command did.
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Whether it took all its input.
    pub(super) took_all: bool,
}

/// Why it is not known what a command did.
pub(super) enum Failed {
    /// It was never begun: the machine opens no further channel.
    Exhausted,
    /// It was never begun: there is no connection any more.
    Gone(Stop),
    Late,
    TooMuch,
    Lost(Stop),
    /// What it should be given could not be read; the input says why.
    Input,
}

/// Runs a line to its end.
pub(super) fn run(
    connection: &Connection,
    line: &str,
    input: &mut Input,
    until: Instant,
    output_limit: usize,
) -> Result<Ran, Failed> {
    let opened = connection.patiently(until, |session| session.channel_session());
    let mut channel = opened.map_err(not_begun)?;
    let begun = connection.patiently(until, |_| channel.exec(line));
    begun.map_err(|stop| match stop {
        Stop::Said(err) if is_exhausted(&err) => Failed::Exhausted,
        other @ (Stop::Late | Stop::Said(_) | Stop::Broken(_)) => lost(other),
    })?;
    let mut run =
        Run { connection, channel, stdout: Vec::new(), stderr: Vec::new(), told_end: false };
    run.exchange(input, until, output_limit)?;
    run.finish(input, until)
}

fn not_begun(stop: Stop) -> Failed {
    match stop {
        Stop::Said(err) if is_exhausted(&err) => Failed::Exhausted,
        other @ (Stop::Late | Stop::Said(_) | Stop::Broken(_)) => Failed::Gone(other),
    }
}

fn lost(stop: Stop) -> Failed {
    match stop {
        Stop::Late => Failed::Late,
        other @ (Stop::Said(_) | Stop::Broken(_)) => Failed::Lost(other),
    }
}

struct Run<'a> {
    connection: &'a Connection,
    channel: Channel,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Whether it knows that no more input comes.
    told_end: bool,
}

impl Run<'_> {
    /// Reads and writes until the command has closed its outputs.
    fn exchange(
        &mut self,
        input: &mut Input,
        until: Instant,
        output_limit: usize,
    ) -> Result<(), Failed> {
        let mut scratch = vec![0; PIECE];
        loop {
            let said = drain(&mut self.channel.stream(0), &mut scratch, &mut self.stdout)?
                + drain(&mut self.channel.stderr(), &mut scratch, &mut self.stderr)?;
            if self.stdout.len() + self.stderr.len() > output_limit {
                return Err(Failed::TooMuch);
            }
            if self.channel.eof() {
                return Ok(());
            }
            let fed = self.feed(input)?;
            if Instant::now() >= until {
                return Err(Failed::Late);
            }
            // The library may have put aside what belongs to the stream that was read first.
            let aside = self.channel.read_window().available > 0;
            if said == 0 && fed != Fed::Some && !aside {
                let left = until.duration_since(Instant::now());
                let at_most = if fed == Fed::Hungry { SOON } else { left };
                self.connection.rest(at_most).map_err(lost)?;
            }
        }
    }

    fn feed(&mut self, input: &mut Input) -> Result<Fed, Failed> {
        match input.next() {
            Next::Piece(piece) => match self.channel.write(piece) {
                Ok(taken) => {
                    input.take(taken);
                    Ok(Fed::Some)
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(Fed::Full),
                // It takes no more; what it says tells why.
                Err(_) => {
                    input.give_up();
                    Ok(Fed::Full)
                }
            },
            Next::NotYet => Ok(Fed::Hungry),
            Next::End if self.told_end => Ok(Fed::Full),
            Next::End => match self.channel.send_eof() {
                Ok(()) => {
                    self.told_end = true;
                    Ok(Fed::Some)
                }
                Err(err) if super::failure::is_not_yet(&err) => Ok(Fed::Full),
                Err(_) => {
                    self.told_end = true;
                    Ok(Fed::Full)
                }
            },
            Next::Broken => Err(Failed::Input),
        }
    }

    /// How it ended is said before the machine closes the channel, and not always before the outputs end.
    fn finish(mut self, input: &Input, until: Instant) -> Result<Ran, Failed> {
        self.connection.patiently(until, |_| self.channel.wait_close()).map_err(lost)?;
        let told = |err: Refusal| Failed::Lost(Stop::Said(err));
        let signal = self.channel.exit_signal().map_err(told)?.exit_signal;
        let code = self.channel.exit_status().map_err(told)?;
        let end = match signal {
            Some(signal) => End::Signalled(signal),
            None => End::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        };
        let closed = self.connection.patiently(until, |_| self.channel.close());
        closed.map_err(lost)?;
        let took_all = input.is_spent();
        Ok(Ran { end, stdout: self.stdout, stderr: self.stderr, took_all })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    Some,
    /// It takes no more for now, or ever.
    Full,
    /// It would take more.
    Hungry,
}

/// Reads one piece of a stream, if there is one: its length.
fn drain(stream: &mut impl Read, scratch: &mut [u8], into: &mut Vec<u8>) -> Result<usize, Failed> {
    match stream.read(scratch) {
        Ok(length) => {
            into.extend(scratch.iter().take(length));
            Ok(length)
        }
        Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(err) => Err(Failed::Lost(Stop::Broken(err))),
    }
}

impl Ran {
    pub(super) fn into_output(self) -> Output {
        let (stdout, stderr) = (Bytes::from(self.stdout), Bytes::from(self.stderr));
        Output { end: self.end, stdout, stderr }
    }
}
