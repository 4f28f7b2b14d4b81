//! The other end of a service manager's notifications: hears that the platform is ready.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const LONGEST: usize = 4096;

/// A socket that a starting platform is told of as `NOTIFY_SOCKET`: in a folder of its own, as two may start at
/// once, and the platform's folder may have a longer path than sockets can.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Listener {
    pub(super) fn bind() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ready");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, path, _folder: folder })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether readiness was told since the last call.
    pub(super) fn heard_ready(&self) -> io::Result<bool> {
        let mut message = [0; LONGEST];
        loop {
            match self.socket.recv(&mut message) {
                Ok(length) => {
                    let told = message.get(..length).unwrap_or_default();
                    if told.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                        return Ok(true);
                    }
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(err) => return Err(err),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_heard_once_among_other_messages() {
        let listener = Listener::bind().unwrap();
        let platform = UnixDatagram::unbound().unwrap();
        assert!(!listener.heard_ready().unwrap());
        for told in ["STATUS=waiting", "MAINPID=7\nREADY=1\n"] {
            platform.send_to(told.as_bytes(), listener.path()).unwrap();
        }
        assert!(listener.heard_ready().unwrap());
        assert!(!listener.heard_ready().unwrap());
    }

    #[test]
    fn two_that_start_at_once_are_told_apart() {
        let (one, other) = (Listener::bind().unwrap(), Listener::bind().unwrap());
        UnixDatagram::unbound().unwrap().send_to(b"READY=1", one.path()).unwrap();
        assert!(!other.heard_ready().unwrap());
        assert!(one.heard_ready().unwrap());
    }
}
