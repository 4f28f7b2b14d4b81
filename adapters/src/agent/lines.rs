//! Lines from a stream of pieces, which are cut wherever the network happened to cut them.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::port::Cause;
use futures::{Stream, StreamExt as _, stream};
use serde::de::DeserializeOwned;

/// Nothing that an agent says in one line is longer.
const LONGEST: usize = 4 * 1024 * 1024;
/// An app's line that is longer than this comes in parts.
const LONGEST_OUTPUT: usize = 64 * 1024;

/// An app's output line by line, each with its end. The first error ends the stream.
pub(super) fn output<S, E>(pieces: S) -> impl Stream<Item = Result<Bytes, E>> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Send,
{
    let start = Some((pieces, BytesMut::new()));
    stream::unfold(start, |state| async move {
        let (mut pieces, mut pending) = state?;
        loop {
            let too_long = (pending.len() >= LONGEST_OUTPUT).then_some(pending.len());
            if let Some(end) = line_end(&pending).or(too_long) {
                return Some((Ok(pending.split_to(end).freeze()), Some((pieces, pending))));
            }
            match pieces.next().await {
                Some(Ok(piece)) => pending.extend_from_slice(&piece),
                Some(Err(err)) => return Some((Err(err), None)),
                None if pending.is_empty() => return None,
                None => return Some((Ok(pending.freeze()), None)),
            }
        }
    })
}

/// Where the first line ends, if it is there whole.
fn line_end(pending: &[u8]) -> Option<usize> {
    pending.iter().position(|byte| *byte == b'\n').map(|end| end + 1)
}

/// Reads one value a line; silence is bounded. The first error ends the stream.
pub(super) fn json<T, S, E>(
    pieces: S,
    silence: Duration,
) -> impl Stream<Item = Result<T, Cause>> + Send
where
    T: DeserializeOwned + Send,
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: StdError + Send + Sync + 'static,
{
    let start = Some((pieces, BytesMut::new()));
    stream::unfold(start, move |state| async move {
        let (mut pieces, mut pending) = state?;
        match next_line(&mut pieces, &mut pending, silence).await {
            Ok(None) => None,
            Ok(Some(line)) => match serde_json::from_slice(&line) {
                Ok(value) => Some((Ok(value), Some((pieces, pending)))),
                Err(err) => Some((Err(err.into()), None)),
            },
            Err(err) => Some((Err(err), None)),
        }
    })
}

async fn next_line<S, E>(
    pieces: &mut S,
    pending: &mut BytesMut,
    silence: Duration,
) -> Result<Option<Bytes>, Cause>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: StdError + Send + Sync + 'static,
{
    loop {
        if let Some(end) = line_end(pending) {
            return Ok(Some(pending.split_to(end).freeze()));
        }
        if pending.len() > LONGEST {
            return Err(format!("a line is longer than {LONGEST} bytes").into());
        }
        match tokio::time::timeout(silence, pieces.next()).await? {
            Some(piece) => pending.extend_from_slice(&piece?),
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    async fn read(pieces: Vec<&'static [u8]>) -> Vec<Result<u32, String>> {
        let pieces =
            stream::iter(pieces).map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece)));
        let lines = json::<u32, _, _>(pieces, Duration::from_secs(1));
        lines.map(|line| line.map_err(|err| err.to_string())).collect().await
    }

    #[tokio::test]
    async fn lines_are_put_together_from_pieces() {
        assert_eq!(read(vec![b"1\n2", b"3\n", b"4\n5\n"]).await, [Ok(1), Ok(23), Ok(4), Ok(5)]);
    }

    #[tokio::test]
    async fn output_comes_in_whole_lines_however_it_was_cut() {
        let pieces: [&[u8]; 4] = [b"caf\xc3", b"\xa9\nt", b"wo\n\nthree\n", b"the end"];
        let pieces = pieces.map(|piece| Ok(Bytes::from_static(piece)));
        let lines: Vec<Result<Bytes, &str>> = output(stream::iter(pieces.clone())).collect().await;
        let whole = ["café\n", "two\n", "\n", "three\n", "the end"];
        assert_eq!(lines, whole.map(|line| Ok(Bytes::from(line))));
        let broken = pieces.into_iter().chain([Err("broken off"), Ok(Bytes::new())]);
        let lines: Vec<_> = output(stream::iter(broken)).skip(4).collect().await;
        assert_eq!(lines, [Err("broken off")]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_not_collected_for_ever() {
        let endless = stream::repeat(Ok::<_, &str>(Bytes::from_static(&[b'x'; 4096])));
        let lines: Vec<_> = output(endless).take(2).collect().await;
        assert!(lines.iter().flatten().all(|line| line.len() == LONGEST_OUTPUT), "{lines:?}");
    }

    #[tokio::test]
    async fn what_is_not_json_ends_the_stream() {
        let read = read(vec![b"1\nx\n2\n"]).await;
        assert_eq!(read.len(), 2);
        assert!(read[1].is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_the_stream() {
        let silent = stream::pending::<Result<Bytes, io::Error>>();
        let lines = json::<u32, _, _>(silent, Duration::from_secs(1));
        let read: Vec<_> = lines.collect().await;
        assert_eq!(read.len(), 1);
        assert!(read[0].is_err());
    }
}
