//! Whether a member of an ensemble takes part in it, in its own words: to answer is not yet to do what it is for.
//!
//! Owns the two questions and how their answers are read; never what follows from them. Of Kafka's protocol it knows this one
//! request, in a version that every broker of the last ten years takes.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use bytes::{Buf as _, TryGetError};
use common::port::part::Member;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a ZooKeeper says of itself that serves; one that does not says so instead.
const MODES: [&str; 4] = ["leader", "follower", "observer", "standalone"];
const LONGEST: u32 = 8 * 1024 * 1024;
/// Of length 14: the brokers and all topics, version 1, a number, and nobody's name.
const METADATA: [u8; 18] =
    [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// Asks it, over a connection of its own.
pub async fn takes_part(address: SocketAddr, member: &Member) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    match member {
        Member::ZooKeeper => {
            stream.write_all(b"srvr").await?;
            let mut answer = String::new();
            stream.take(u64::from(LONGEST)).read_to_string(&mut answer).await?;
            let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "));
            Ok(mode.is_some_and(|mode| MODES.contains(&mode.trim())))
        }
        Member::Kafka { id } => {
            stream.write_all(&METADATA).await?;
            let length = stream.read_u32().await?;
            let told = io::Error::from(ErrorKind::InvalidData);
            if length > LONGEST {
                return Err(told);
            }
            let mut answer = Vec::new();
            stream.take(u64::from(length)).read_to_end(&mut answer).await?;
            is_in_step(&answer, *id).map_err(|_| told)
        }
    }
}

/// Whether the broker of this number is one that others know (it is fenced otherwise), and has the newest of all that it has
/// a copy of, as far as it has heard: one that is cut off from all others does not hear that it is fenced. What nobody leads
/// there is nobody to be in step with.
fn is_in_step(mut answer: &[u8], id: i32) -> Result<bool, TryGetError> {
    let answer = &mut answer;
    let _number = answer.try_get_i32()?;
    let mut is_known = false;
    for _ in 0..answer.try_get_i32()? {
        is_known |= answer.try_get_i32()? == id;
        skip_text(answer)?; // its host
        let _port = answer.try_get_i32()?;
        skip_text(answer)?; // its rack
    }
    let _controller = answer.try_get_i32()?;
    let mut is_behind = false;
    for _ in 0..answer.try_get_i32()? {
        let _error = answer.try_get_i16()?;
        skip_text(answer)?; // its name
        let _is_internal = answer.try_get_u8()?;
        for _ in 0..answer.try_get_i32()? {
            let _error = answer.try_get_i16()?;
            let _partition = answer.try_get_i32()?;
            let is_led = answer.try_get_i32()? >= 0;
            let has_copy = skip_numbers(answer, id)?;
            let has_newest = skip_numbers(answer, id)?;
            is_behind |= is_led && has_copy && !has_newest;
        }
    }
    Ok(is_known && !is_behind)
}

fn skip_text(answer: &mut &[u8]) -> Result<(), TryGetError> {
    // None is of length -1.
    let length = usize::try_from(answer.try_get_i16()?).unwrap_or(0);
    let lacks = TryGetError { requested: length, available: answer.len() };
    *answer = answer.get(length..).ok_or(lacks)?;
    Ok(())
}

/// Says whether this one is among them.
fn skip_numbers(answer: &mut &[u8], wanted: i32) -> Result<bool, TryGetError> {
    let mut has = false;
    for _ in 0..answer.try_get_i32()? {
        has |= answer.try_get_i32()? == wanted;
    }
    Ok(has)
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Partitions as they are told: who leads, who has a copy, and who is in step.
    type Told<'a> = &'a [(i32, &'a [i32], &'a [i32])];

    fn text(answer: &mut Vec<u8>, text: &str) {
        answer.put_i16(i16::try_from(text.len()).unwrap());
        answer.put_slice(text.as_bytes());
    }

    fn numbers(answer: &mut Vec<u8>, numbers: &[i32]) {
        answer.put_i32(i32::try_from(numbers.len()).unwrap());
        for number in numbers {
            answer.put_i32(*number);
        }
    }

    fn answer(brokers: &[i32], topics: &[Told<'_>]) -> Vec<u8> {
        let mut answer = Vec::new();
        answer.put_i32(1);
        answer.put_i32(i32::try_from(brokers.len()).unwrap());
        for broker in brokers {
            answer.put_i32(*broker);
            text(&mut answer, "192.0.2.1");
            answer.put_i32(9092);
            answer.put_i16(-1);
        }
        answer.put_i32(2);
        answer.put_i32(i32::try_from(topics.len()).unwrap());
        for partitions in topics {
            answer.put_i16(0);
            text(&mut answer, "first_topic");
            answer.put_u8(0);
            answer.put_i32(i32::try_from(partitions.len()).unwrap());
            for (index, (leader, copies, in_step)) in (0..).zip(*partitions) {
                answer.put_i16(0);
                answer.put_i32(index);
                answer.put_i32(*leader);
                numbers(&mut answer, copies);
                numbers(&mut answer, in_step);
            }
        }
        answer
    }

    fn of_three(id: i32, brokers: &[i32], topics: &[Told<'_>]) -> bool {
        is_in_step(&answer(brokers, topics), id).unwrap()
    }

    #[test]
    fn a_broker_takes_part_that_others_know_and_that_is_in_step_everywhere() {
        let all: Told<'_> = &[(1, &[1, 2, 3], &[3, 1, 2]), (2, &[2, 3, 1], &[2, 3, 1])];
        let behind: Told<'_> = &[(1, &[1, 2, 3], &[1, 2, 3]), (2, &[2, 3, 1], &[2, 1])];
        assert!(of_three(3, &[1, 2, 3], &[]));
        assert!(of_three(3, &[1, 2, 3], &[all, all]));
        assert!(!of_three(3, &[1, 2], &[all]), "it is fenced");
        assert!(!of_three(3, &[1, 2, 3], &[all, behind]));
        assert!(of_three(1, &[1, 2, 3], &[all, behind]));
        assert!(of_three(3, &[1, 2, 3], &[&[(1, &[1, 2], &[1, 2])]]), "it has no copy");
        assert!(of_three(3, &[2, 3], &[&[(-1, &[1, 2, 3], &[1])]]), "nobody leads there");
    }

    #[test]
    fn an_answer_that_ends_early_is_none() {
        let whole = answer(&[1, 2], &[&[(1, &[1, 2], &[1, 2])]]);
        assert_eq!(is_in_step(&whole, 1), Ok(true));
        for length in 0..whole.len() {
            assert!(is_in_step(whole.get(..length).unwrap(), 1).is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn a_zookeeper_takes_part_that_says_in_which_mode_it_serves() {
        let serves = "Zookeeper version: 3.9\nClients:\n\nMode: follower\nNode count: 5\n";
        for (says, expected) in [
            (serves, true),
            ("This ZooKeeper instance is not currently serving requests\n", false),
            ("srvr is not executed because it is not in the whitelist.\n", false),
            ("Mode: read-only\n", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let answering = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 4];
                stream.read_exact(&mut asked).await.unwrap();
                assert_eq!(&asked, b"srvr");
                stream.write_all(says.as_bytes()).await.unwrap();
            };
            let (told, ()) = tokio::join!(takes_part(address, &Member::ZooKeeper), answering);
            assert_eq!(told.unwrap(), expected, "{says}");
        }
    }
}
