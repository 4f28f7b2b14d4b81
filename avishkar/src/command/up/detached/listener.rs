//! The other end of a service manager's notifications: hears that the platform is ready.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const LONGEST: usize = 4096;

/// A socket that a starting platform is told of as `NOTIFY_SOCKET`.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Listener {
    /// Listens in a folder that is there.
    pub(super) fn bind(folder: &Path) -> io::Result<Self> {
        let path = folder.join("ready.sock");
        match fs::remove_file(&path) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, path })
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

impl Drop for Listener {
    fn drop(&mut self) {
        // Another start removes what is left here.
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_heard_once_among_other_messages() {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::bind(folder.path()).unwrap();
        let platform = UnixDatagram::unbound().unwrap();
        assert!(!listener.heard_ready().unwrap());
        for told in ["STATUS=waiting", "MAINPID=7\nREADY=1\n"] {
            platform.send_to(told.as_bytes(), listener.path()).unwrap();
        }
        assert!(listener.heard_ready().unwrap());
        assert!(!listener.heard_ready().unwrap());
    }

    #[test]
    fn what_a_start_before_left_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        std::mem::forget(Listener::bind(folder.path()).unwrap());
        assert!(Listener::bind(folder.path()).is_ok());
    }
}
