//! `avishkar login` at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::avishkar;
use crate::fake_platform::{Answer, FakePlatform};

/// How long the terminal may show nothing.
const SHOWS_WITHIN: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Runs `login` with a terminal of its own, types these keys once it asks; returns how it ended, what the terminal showed,
/// and whether the terminal shows keys again.
fn log_in_at_a_terminal(platform: &FakePlatform, keys: &str) -> (ExitStatus, String, bool) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inner = open(path.as_c_str(), flags, Mode::empty()).unwrap();
    let end = || Stdio::from(inner.try_clone().unwrap());
    let home = tempfile::tempdir().unwrap();
    let mut command = avishkar(&["--server", &platform.url, "login"], &home);
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    // From now on only the child has the inner end open, and the terminal has an end when the child ends.
    drop((inner, command));
    let mut terminal = File::from(terminal);
    let mut shown = String::new();
    let mut keys = Some(keys);
    loop {
        let more = next(&mut terminal);
        if more.is_none() {
            child.kill().unwrap();
        }
        let more = more.expect("it ends or says more in time");
        if more.is_empty() {
            break;
        }
        shown.push_str(&more);
        if shown.contains("password for admin: ")
            && let Some(keys) = keys.take()
        {
            terminal.write_all(keys.as_bytes()).unwrap();
        }
    }
    let echoes = tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);
    (child.wait().unwrap(), shown, echoes)
}

/// What the terminal shows next; nothing once nobody has it open; `None` if that takes too long.
fn next(terminal: &mut File) -> Option<String> {
    let mut ready = [PollFd::new(terminal, PollFlags::IN)];
    if poll(&mut ready, Some(&SHOWS_WITHIN)).unwrap() == 0 {
        return None;
    }
    let mut bytes = [0; 4096];
    let count = terminal.read(&mut bytes).unwrap_or_default();
    Some(String::from_utf8(bytes.get(..count).unwrap().to_vec()).unwrap())
}

#[test]
fn a_password_is_not_shown_while_it_is_typed() {
    let platform =
        FakePlatform::start(|_, _| Answer::Says(200, json!({ "token": "t" }).to_string()));
    let (status, shown, echoes) = log_in_at_a_terminal(&platform, "open sesame\r");
    assert!(status.success(), "{shown}");
    assert!(!shown.contains("sesame"), "{shown}");
    assert!(echoes);
    let body: Value = serde_json::from_str(&platform.requests()[0].body).unwrap();
    assert_eq!(body["password"], "open sesame");
}

#[test]
fn ctrl_c_at_the_password_leaves_the_terminal_as_it_was() {
    let platform = FakePlatform::start(|_, _| Answer::HangsUp);
    let (status, shown, echoes) = log_in_at_a_terminal(&platform, "open\u{3}");
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(echoes);
    assert!(platform.requests().is_empty());
}
