//! A machine as one thread has it: a connection that is made when it is needed, and made again when it was lost.

use std::time::Duration;

use common::port::host::{Access, Command, Error, Output, Privilege};
use tokio::time::Instant;

use super::exec::{self, Failed, Ran};
use super::input::Input;
use super::quote;
use super::session::{Connection, Stop};
use super::sign_in;

pub(super) struct Line {
    pub(super) access: Access,
    budget: Duration,
    connection: Option<Connection>,
    /// Whether it was seen that this user may become root.
    may_be_root: bool,
}

impl Line {
    pub(super) fn new(access: Access, budget: Duration) -> Self {
        Line { access, budget, connection: None, may_be_root: false }
    }

    /// Connects, unless that was done.
    pub(super) fn sign_in(&mut self) -> Result<&Connection, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => sign_in::connect(&self.access, self.budget)?,
        };
        Ok(self.connection.insert(connection))
    }

    pub(super) fn run(&mut self, command: &Command) -> Result<Output, Error> {
        let input = &mut Input::new(command.stdin.clone());
        self.run_with(command, input).map(Ran::into_output)
    }

    /// Runs a command whose input comes from elsewhere.
    pub(super) fn run_with(&mut self, command: &Command, input: &mut Input) -> Result<Ran, Error> {
        command.check()?;
        if command.privilege == Privilege::Root {
            self.become_root()?;
        }
        self.attempt(command, input)
    }

    /// Whoever may not become root is told so before anything else is tried: `sudo` fails as any program does.
    fn become_root(&mut self) -> Result<(), Error> {
        if self.may_be_root || self.access.user == "root" {
            return Ok(());
        }
        let nothing = Command::new("true").by_root().within(self.budget);
        let ran = self.attempt(&nothing, &mut Input::new(bytes::Bytes::new()))?.into_output();
        if !ran.succeeded() {
            let Access { at, user, .. } = self.access.clone();
            return Err(Error::NoSudo { at, user, said: ran.complaint() });
        }
        self.may_be_root = true;
        Ok(())
    }

    fn attempt(&mut self, command: &Command, input: &mut Input) -> Result<Ran, Error> {
        let line = quote::line(command, &self.access.user);
        let was_there = self.connection.is_some();
        match self.once(command, &line, input)? {
            // The machine may have closed an idle connection long ago; nothing was begun on it.
            Err(Failed::Gone(_)) if was_there => match self.once(command, &line, input)? {
                Ok(ran) => Ok(ran),
                Err(failed) => Err(self.told(command, failed)),
            },
            Ok(ran) => Ok(ran),
            Err(failed) => Err(self.told(command, failed)),
        }
    }

    fn once(
        &mut self,
        command: &Command,
        line: &str,
        input: &mut Input,
    ) -> Result<Result<Ran, Failed>, Error> {
        let connection = self.sign_in()?;
        let until = Instant::now() + command.deadline;
        let ran = exec::run(connection, line, input, until, command.output_limit);
        let reusable = matches!(&ran, Ok(_) | Err(Failed::Exhausted));
        if !reusable {
            // What is half done on it can only be left.
            self.connection = None;
        }
        Ok(ran)
    }

    fn told(&self, command: &Command, failed: Failed) -> Error {
        let (at, program) = (self.access.at.clone(), command.program.clone());
        let lost = |stop: Stop| Error::ConnectionLost { at: at.clone(), source: stop.into_cause() };
        match failed {
            Failed::Exhausted => Error::SessionsExhausted { at },
            Failed::Gone(stop) => Error::Unreachable { at, source: stop.into_cause() },
            Failed::Late => Error::DeadlineExceeded { at, program, after: command.deadline },
            Failed::TooMuch => Error::OutputTooLarge { at, program, limit: command.output_limit },
            Failed::Lost(stop) => lost(stop),
            Failed::Input => lost(Stop::Late),
        }
    }
}
