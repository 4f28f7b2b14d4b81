//! Telling systemd how the process is: its notification protocol, which is one datagram a message.
//!
//! Where nobody asked to be told, nothing is. A message that cannot be delivered changes nothing for
//! the process: it is logged.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use chassis::config;

/// Whoever started this process and wants to know.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// A process that is silent for this long is taken to hang.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the process was told when it was started.
    pub(crate) fn of_process() -> Self {
        let Some(address) = config::supervisor_variable("NOTIFY_SOCKET") else {
            return Notifier::default();
        };
        let silence = config::supervisor_variable("WATCHDOG_USEC");
        match Notifier::open(&address, silence.as_deref()) {
            Ok(notifier) => notifier,
            Err(err) => {
                let error = &err as &dyn std::error::Error;
                tracing::warn!(error, "the supervisor of this process cannot be told how it is");
                Notifier::default()
            }
        }
    }

    fn open(address: &OsStr, silence: Option<&OsStr>) -> io::Result<Self> {
        // A name that begins with @ is no file: it is known by its bytes after that.
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(Path::new(address))?,
        };
        let socket = UnixDatagram::unbound()?;
        // A supervisor that does not read must not hold up the platform.
        socket.set_nonblocking(true)?;
        let micros = silence.and_then(OsStr::to_str).and_then(|text| text.parse().ok());
        let watchdog = micros.filter(|micros| *micros > 0).map(Duration::from_micros);
        Ok(Notifier { socket: Some((socket, address)), watchdog })
    }

    /// The platform does its work.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// The platform has been told to end.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// One line for people: `systemctl status` shows it.
    pub(crate) fn status(&self, text: &str) {
        let line: String = text.chars().filter(|letter| !letter.is_control()).collect();
        self.say(&format!("STATUS={line}"));
    }

    /// Says that the process lives, as long as it does: for ever, or until this is dropped. Without
    /// a watchdog it says nothing.
    pub(crate) async fn keep_alive(&self, lives: impl Fn() -> bool) {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        loop {
            if lives() {
                self.say("WATCHDOG=1");
            }
            tokio::time::sleep(watchdog / 3).await;
        }
    }

    fn say(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(err) = socket.send_to_addr(message.as_bytes(), address) {
            let error = &err as &dyn std::error::Error;
            tracing::warn!(error, "the supervisor of this process was not told how it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let count = listener.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    fn tells_all(listener: &UnixDatagram, address: &OsStr) {
        let notifier = Notifier::open(address, None).unwrap();
        notifier.status("starts\nREADY=1");
        notifier.ready();
        notifier.stopping();
        let told = [heard(listener), heard(listener), heard(listener)];
        assert_eq!(told, ["STATUS=startsREADY=1", "READY=1", "STOPPING=1"]);
    }

    #[test]
    fn a_supervisor_is_told_through_a_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        tells_all(&listener, path.as_os_str());
    }

    #[test]
    fn a_supervisor_is_told_through_a_name() {
        let name = format!("avishkar-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        tells_all(&listener, OsStr::new(&format!("@{name}")));
    }

    #[test]
    fn a_supervisor_that_is_gone_holds_nobody_up() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let notifier = Notifier::open(path.as_os_str(), None).unwrap();
        notifier.ready();
        let _listener = UnixDatagram::bind(&path).unwrap();
        for _ in 0..10_000 {
            notifier.ready();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_hears_from_a_process_that_lives() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let silence = Some(OsStr::new("3000000"));
        let notifier = Notifier::open(path.as_os_str(), silence).unwrap();
        let within = |seconds: u64| Duration::from_millis(seconds * 1000 + 1);
        let wait = tokio::time::timeout(within(2), notifier.keep_alive(|| true)).await;
        assert!(wait.is_err());
        assert_eq!([heard(&listener), heard(&listener), heard(&listener)], ["WATCHDOG=1"; 3]);
        let wait = tokio::time::timeout(within(9), notifier.keep_alive(|| false)).await;
        assert!(wait.is_err());
        assert!(listener.recv(&mut [0; 20]).is_err());
    }
}
