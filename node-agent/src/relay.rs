//! The relay: what connects to this machine's own address for the registry is forwarded to where the registry is, so
//! that images have the same name on every machine.
//!
//! Owns the listener and its connections: how many, and how long. Where the registry is stands in the ledger.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::ledger::Ledger;

/// An engine fetches a few layers at once; more than this is no engine.
const CONNECTIONS: usize = 64;
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A connection over which nothing goes for so long is closed.
const IDLE: Duration = Duration::from_mins(2);
/// How soon the address is tried again when it is taken.
const RETRY: Duration = Duration::from_secs(2);
const PIECE: usize = 64 * 1024;

/// Runs until the process stops. Registers the condition `relay` where there is to be one.
pub(crate) async fn run(listen: Option<SocketAddr>, ledger: &Ledger, lifecycle: &Lifecycle) {
    let Some(listen) = listen else { return };
    let condition = lifecycle.condition("relay");
    let relay = async {
        loop {
            match TcpListener::bind(listen).await {
                Ok(listener) => {
                    condition.holds();
                    serve(&listener, ledger).await;
                }
                Err(err) => {
                    condition.fails(format!("{listen} cannot be listened on: {err}"));
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => {}
        () = relay => {}
    }
}

/// Returns when the listener is of no use any more.
async fn serve(listener: &TcpListener, ledger: &Ledger) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = open.next() => {}
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => open.push(forward(stream, ledger.read().registry())),
                Err(err) => {
                    tracing::warn!(error = &err as &dyn std::error::Error, "the relay broke off");
                    return;
                }
            }
        }
    }
}

/// Without a registry the connection is closed: the caller is told as if nobody listened there.
async fn forward(mut near: TcpStream, registry: Option<SocketAddr>) {
    let Some(registry) = registry else { return };
    let connecting = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(registry));
    match connecting.await.map_err(io::Error::from).flatten() {
        Ok(mut far) => exchange(&mut near, &mut far).await,
        Err(err) => {
            tracing::debug!(
                error = &err as &dyn std::error::Error,
                %registry,
                "the registry cannot be reached"
            );
        }
    }
}

/// When something went over a connection last.
#[derive(Debug)]
struct Moved(Mutex<Instant>);

impl Moved {
    fn now() -> Self {
        Moved(Mutex::new(Instant::now()))
    }

    fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries bytes both ways until both ends have said all, one breaks off, or neither says anything for long.
async fn exchange(near: &mut TcpStream, far: &mut TcpStream) {
    let moved = Moved::now();
    let (near_reader, near_writer) = near.split();
    let (far_reader, far_writer) = far.split();
    let both = async {
        // An end that broke off is noticed by the other at once, since both are dropped then.
        drop(tokio::try_join!(
            carry(near_reader, far_writer, &moved),
            carry(far_reader, near_writer, &moved)
        ));
    };
    let silence = async {
        while moved.last().elapsed() < IDLE {
            tokio::time::sleep_until(moved.last() + IDLE).await;
        }
    };
    tokio::select! {
        biased;
        () = both => {}
        () = silence => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Moved,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        moved.again();
        let Some(said) = piece.get(..read).filter(|said| !said.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(said).await?;
        moved.again();
    }
}

#[cfg(test)]
mod tests;
