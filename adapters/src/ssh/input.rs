//! What a command is given on its standard input: bytes that are at hand, or chunks that others hand over.

use std::io;

use bytes::{Buf as _, Bytes};
use common::port::host::{ChunkStream, Content};
use futures::StreamExt as _;
use tokio::sync::mpsc;

/// How many chunks may wait for the machine.
const CHUNKS: usize = 4;

/// One side of the hand-over: on the connection's thread.
pub(super) struct Input {
    piece: Bytes,
    rest: Option<mpsc::Receiver<Handed>>,
    given_up: bool,
    broken: Option<io::Error>,
}

enum Handed {
    Chunk(Bytes),
    Broken(io::Error),
    /// Only whoever said so has handed over everything: who is dropped half-way says nothing.
    End,
}

/// What comes next.
pub(super) enum Next<'a> {
    Piece(&'a [u8]),
    NotYet,
    End,
    /// [`Input::failure`] says why.
    Broken,
}

/// The other side: hands over what comes.
pub(super) struct Source {
    chunks: ChunkStream,
    to: mpsc::Sender<Handed>,
}

impl Source {
    /// Ends when everything was handed over, or nobody wants it any more.
    pub(super) async fn hand_over(mut self) {
        while let Some(chunk) = self.chunks.next().await {
            let handed = match chunk {
                Ok(chunk) => Handed::Chunk(chunk),
                Err(err) => Handed::Broken(err),
            };
            if self.to.send(handed).await.is_err() {
                return;
            }
        }
        drop(self.to.send(Handed::End).await);
    }
}

/// Content as input, and who hands it over where it is not at hand.
pub(super) fn of(content: Content) -> (Input, Option<Source>) {
    match content {
        Content::Bytes(bytes) => (Input::new(bytes), None),
        Content::Chunks(chunks) => {
            let (to, from) = mpsc::channel(CHUNKS);
            let input = Input { rest: Some(from), ..Input::new(Bytes::new()) };
            (input, Some(Source { chunks, to }))
        }
    }
}

impl Input {
    pub(super) fn new(piece: Bytes) -> Self {
        Input { piece, rest: None, given_up: false, broken: None }
    }

    pub(super) fn next(&mut self) -> Next<'_> {
        while self.piece.is_empty() {
            let Some(rest) = &mut self.rest else { return Next::End };
            match rest.try_recv() {
                Ok(Handed::Chunk(chunk)) => self.piece = chunk,
                Ok(Handed::End) => self.rest = None,
                Ok(Handed::Broken(err)) => return self.fail(err),
                Err(mpsc::error::TryRecvError::Empty) => return Next::NotYet,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    return self.fail(io::Error::other("whoever wrote it gave up"));
                }
            }
        }
        Next::Piece(&self.piece)
    }

    fn fail(&mut self, err: io::Error) -> Next<'_> {
        self.broken = Some(err);
        Next::Broken
    }

    /// Why it ended before its end.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.broken.take()
    }

    pub(super) fn take(&mut self, length: usize) {
        self.piece.advance(length.min(self.piece.len()));
    }

    /// Nobody wants the rest.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.piece = Bytes::new();
        self.rest = None;
    }

    /// Whether everything was taken.
    pub(super) fn is_spent(&self) -> bool {
        self.piece.is_empty() && self.rest.is_none() && !self.given_up
    }
}
