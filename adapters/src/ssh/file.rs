//! Files by commands: with `sudo` a file of root is no other matter than one of who signed in.

use std::time::Duration;

use bytes::Bytes;
use common::port::host::{Command, End, Error, FilePath, NewFile, Output, Privilege, PublicKey};

use super::input::Input;
use super::line::Line;

/// What a step that moves no content may take.
const STEP: Duration = Duration::from_secs(20);
const WORDS: usize = 64 * 1024;
const FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
/// What is being written; whoever was cut off left it.
const PART: &str = ".avishkar-part-";
const AUTHORIZED_KEYS: usize = 1024 * 1024;

impl Line {
    /// Content goes into a file of its own beside the wanted one, which nobody else may read, and takes its place.
    pub(super) fn write(&mut self, file: &NewFile, mut input: Input) -> Result<(), Error> {
        let (folder, _) = file.path.split();
        self.sweep(folder, file.privilege);
        let part = format!("{}/{PART}XXXXXXXXXX", folder.trim_end_matches('/'));
        let made = self.step(file, Command::new("mktemp").args([part]))?;
        let part = made.text();
        let written = self.fill(file, &part, &mut input);
        if written.is_err() {
            // Whether that works is no matter: the next file that is written there sweeps.
            let remove = Command::new("rm").args(["-f", "--", part.as_str()]);
            drop(self.run(&of(file.privilege, remove)));
        }
        written
    }

    fn fill(&mut self, file: &NewFile, part: &str, input: &mut Input) -> Result<(), Error> {
        let copy = Command::new("dd")
            .args([format!("of={part}")])
            .args(["bs=65536", "conv=notrunc,fsync", "status=none"])
            .within(file.deadline)
            .saying_at_most(WORDS);
        let ran = self.run_with(&of(file.privilege, copy), input);
        if let Some(err) = input.failure() {
            return Err(Error::Source { path: file.path.clone(), source: Box::new(err) });
        }
        let ran = ran?;
        let took_all = ran.took_all;
        let copied = ran.into_output();
        self.check(file, &copied)?;
        if !took_all {
            return Err(self.failed(&file.path, "it did not take all of its content".to_owned()));
        }
        let mode = format!("{:04o}", file.mode);
        self.step(file, Command::new("chmod").args(["--", mode.as_str(), part]))?;
        let place = file.path.as_str();
        self.step(file, Command::new("mv").args(["-f", "-T", "--", part, place]))?;
        Ok(())
    }

    /// Removes what writers that were cut off an hour ago left in a folder.
    fn sweep(&mut self, folder: &str, privilege: Privilege) {
        let name = format!("{PART}*");
        let find = Command::new("find")
            .args([folder, "-maxdepth", "1", "-name", &name, "-mmin", "+60", "-delete"])
            .within(STEP);
        // Where it may not, or there is no folder, the file itself tells.
        drop(self.run(&of(privilege, find)));
    }

    pub(super) fn read(
        &mut self,
        path: &FilePath,
        privilege: Privilege,
        limit: usize,
    ) -> Result<Option<Bytes>, Error> {
        let more = (limit + 1).to_string();
        let head = Command::new("head").args(["-c", &more, "--", path.as_str()]);
        let head = of(privilege, head).within(STEP).saying_at_most(limit + WORDS);
        let read = self.run(&head)?;
        if read.succeeded() {
            if read.stdout.len() <= limit {
                return Ok(Some(read.stdout));
            }
            let (at, path) = (self.access.at.clone(), path.clone());
            return Err(Error::FileTooLarge { at, path, limit });
        }
        let exists = Command::new("test").args(["-e", path.as_str()]).within(STEP);
        match self.run(&of(privilege, exists))?.end {
            End::Exited(1) => Ok(None),
            End::Exited(_) | End::Signalled(_) => Err(self.failed(path, read.complaint())),
        }
    }

    /// Only ever adds a line: whoever else does so at the same moment loses none of theirs.
    pub(super) fn authorize(&mut self, key: &PublicKey) -> Result<(), Error> {
        let home = self.run(&Command::new("printenv").args(["HOME"]).within(STEP))?.text();
        let folder = format!("{}/.ssh", home.trim_end_matches('/'));
        let path: FilePath = match format!("{folder}/authorized_keys").parse() {
            Ok(path) if !home.is_empty() => path,
            Ok(_) | Err(_) => return Err(self.homeless(&home)),
        };
        let file = NewFile::new(path.clone(), 0o600);
        self.step(&file, Command::new("mkdir").args(["-p", "-m", "700", "--", &folder]))?;
        let before = self.read(&path, Privilege::User, AUTHORIZED_KEYS)?;
        let text = String::from_utf8_lossy(before.as_deref().unwrap_or_default()).into_owned();
        if key.is_in(&text) {
            return Ok(());
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let line = format!("{end}{}\n", key.as_line());
        let append = Command::new("tee").args(["-a", "--", path.as_str()]).stdin(line);
        self.step(&file, append)?;
        if before.is_none() {
            self.step(&file, Command::new("chmod").args(["--", "0600", path.as_str()]))?;
        }
        Ok(())
    }

    fn homeless(&self, home: &str) -> Error {
        let path = "/.ssh/authorized_keys".parse().expect("it is an absolute path");
        self.failed(&path, format!("{} has no home folder ({home:?})", self.access.user))
    }

    /// A step on the way to a file, which must succeed.
    fn step(&mut self, file: &NewFile, command: Command) -> Result<Output, Error> {
        let ran = self.run(&of(file.privilege, command.within(STEP)))?;
        self.check(file, &ran)?;
        Ok(ran)
    }

    fn check(&self, file: &NewFile, ran: &Output) -> Result<(), Error> {
        if ran.succeeded() {
            return Ok(());
        }
        let said = ran.complaint();
        if FULL.iter().any(|full| said.contains(full)) {
            let (at, path) = (self.access.at.clone(), file.path.clone());
            return Err(Error::DiskFull { at, path });
        }
        Err(self.failed(&file.path, said))
    }

    fn failed(&self, path: &FilePath, said: String) -> Error {
        Error::File { at: self.access.at.clone(), path: path.clone(), said }
    }
}

/// As whom, and in words that are the same everywhere.
fn of(privilege: Privilege, command: Command) -> Command {
    Command { privilege, ..command.env("LC_ALL", "C") }
}
