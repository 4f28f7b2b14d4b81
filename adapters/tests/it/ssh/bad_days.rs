//! What goes wrong between two machines: silence, cuts, half-open connections, no room.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use common::port::Hosts as _;
use common::port::host::{
    Access, Command, Content, Error, FilePath, Gate, NewFile, Phase, Privilege,
};
use futures::StreamExt as _;
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::{ECHO, ECHOES, said, with_sshd};
use crate::local::{run, script};

/// Until one is told that nobody answers.
const CONNECT: Duration = Duration::from_millis(5600);

#[tokio::test]
async fn whoever_accepts_and_says_nothing_is_given_up_in_time() {
    with_sshd(async |sshd| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let at =
            Gate { address: "127.0.0.1".to_owned(), port: silent.local_addr().unwrap().port() };
        let access = Access { at: at.clone(), ..sshd.user("ops") };
        let began = Instant::now();
        let (shown, connected) =
            futures::join!(sshd.rig.hosts.host_key(&at), sshd.rig.hosts.connect(&access));
        assert!(began.elapsed() < CONNECT, "{:?}", began.elapsed());
        for refused in [shown.map(drop).unwrap_err(), connected.map(drop).unwrap_err()] {
            let told = matches!(refused, Error::ConnectTimeout { stalled: Phase::Greeting, .. });
            assert!(told && refused.is_retryable(), "{refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_say_whether_one_may_sign_in_is_given_up_in_time() {
    with_sshd(async |sshd| {
        let slow = "AuthorizedKeysCommand /usr/bin/sleep 30\nAuthorizedKeysCommandUser root\nAuthorizedKeysFile none";
        sshd.configure(slow).await;
        loop {
            let began = Instant::now();
            let refused = sshd.rig.hosts.connect(&sshd.user("ops")).await.map(drop);
            match refused {
                Err(Error::ConnectTimeout { stalled: Phase::SigningIn, .. }) => {
                    assert!(began.elapsed() < CONNECT, "{:?}", began.elapsed());
                    return;
                }
                // sshd was not yet told, or is on its way.
                Ok(()) | Err(Error::Unreachable { .. }) => sleep(Duration::from_millis(50)).await,
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_command_that_is_cut_off_is_told_at_once_and_its_outcome_is_unknown() {
    with_sshd(async |sshd| {
        let host = sshd.connect(&sshd.user("ops")).await;
        let long = Command::new("sleep").args(["60"]);
        let began = Instant::now();
        let cut = async {
            sleep(Duration::from_millis(500)).await;
            sshd.proxy.cut();
        };
        let (ran, ()) = futures::join!(host.run(&long), cut);
        let lost = ran.unwrap_err();
        assert!(
            matches!(lost, Error::ConnectionLost { .. }) && lost.is_outcome_unknown(),
            "{lost:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(run(host.as_ref(), Command::new("true")).await.succeeded());
        sshd.proxy.refuse();
        let refused = host.run(&Command::new("true")).await.unwrap_err();
        assert!(matches!(refused, Error::Unreachable { .. }), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_is_gone_without_a_word_is_noticed_before_the_deadline() {
    with_sshd(async |sshd| {
        let host = sshd.rig.signed_in(sshd.machine).await;
        // Its cable is pulled; nobody says that the connection ended.
        let pulled = "nohup sh -c 'sleep 1; ip link set eth0 down' >/dev/null 2>&1 &";
        assert!(run(host.as_ref(), script(pulled)).await.succeeded());
        let began = Instant::now();
        let long = Command::new("sleep").args(["120"]).within(Duration::from_mins(2));
        let lost = host.run(&long).await.unwrap_err();
        assert!(matches!(lost, Error::ConnectionLost { .. }), "{lost:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_opens_no_session_is_told() {
    with_sshd(async |sshd| {
        sshd.configure("MaxSessions 0").await;
        loop {
            let Ok(host) = sshd.rig.hosts.connect(&sshd.user("ops")).await else { continue };
            match host.run(&Command::new("true")).await {
                // It was not yet told.
                Ok(_) => sleep(Duration::from_millis(50)).await,
                Err(Error::SessionsExhausted { .. }) => return,
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_out_of_time_ends_on_the_machine_too() {
    with_sshd(async |sshd| {
        let host = sshd.connect(&sshd.user("ops")).await;
        let late = script("echo began >/tmp/late; sleep 5; echo ended >/tmp/late");
        let refused = host.run(&late.within(Duration::from_secs(1))).await.unwrap_err();
        assert!(matches!(refused, Error::DeadlineExceeded { .. }), "{refused:?}");
        sleep(Duration::from_secs(6)).await;
        let said = run(host.as_ref(), Command::new("cat").args(["/tmp/late"])).await;
        assert_eq!(said.text(), "began");
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_file_is_as_before() {
    with_sshd(async |sshd| {
        let made = "mkdir /mnt/small && mount -t tmpfs -o size=1m tmpfs /mnt/small && chown ops /mnt/small";
        sshd.rig.on(&sshd.machine.name, made).await;
        let host = sshd.connect(&sshd.user("ops")).await;
        let path: FilePath = "/mnt/small/file".parse().unwrap();
        let file = NewFile::new(path.clone(), 0o644);
        host.write(&file, "old".into()).await.unwrap();
        let full = host.write(&file, Bytes::from(vec![1; 3 << 20]).into()).await.unwrap_err();
        assert!(matches!(full, Error::DiskFull { .. }), "{full:?}");
        let read = host.read(&path, Privilege::User, 100).await.unwrap();
        assert_eq!(read.as_deref(), Some(&b"old"[..]));
        let names = run(host.as_ref(), Command::new("ls").args(["-A", "/mnt/small"])).await.text();
        assert_eq!(names, "file");
    })
    .await;
}

#[tokio::test]
async fn a_large_file_arrives_whole_and_is_never_in_memory() {
    with_sshd(async |sshd| {
        const CHUNK: usize = 1 << 20;
        const CHUNKS: usize = 200;
        let host = sshd.connect(&sshd.user("ops")).await;
        let chunk =
            |number: usize| Ok(Bytes::from(vec![u8::try_from(number % 256).unwrap(); CHUNK]));
        let chunks = stream::iter(0..CHUNKS).map(chunk).boxed();
        let file = NewFile::new("/home/ops/large".parse().unwrap(), 0o600).by_root();
        let began = Instant::now();
        // What other tests took at their time is forgotten.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = resident();
        let written = host.write(&file, Content::Chunks(chunks));
        timeout(Duration::from_mins(1), written).await.unwrap().unwrap();
        let grown = peak().saturating_sub(before);
        let size =
            run(host.as_ref(), Command::new("stat").args(["-c", "%s", "/home/ops/large"])).await;
        assert_eq!(size.text(), (CHUNK * CHUNKS).to_string());
        assert!(grown < 100 << 20, "{grown} bytes more, in {:?}", began.elapsed());
    })
    .await;
}

fn resident() -> usize {
    memory("VmRSS:")
}

fn peak() -> usize {
    memory("VmHWM:")
}

fn memory(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn what_a_writer_that_was_cut_off_left_is_swept() {
    with_sshd(async |sshd| {
        let host = sshd.connect(&sshd.user("ops")).await;
        let left =
            "cd /home/ops && touch .avishkar-part-new && touch -d '2 hours ago' .avishkar-part-old";
        assert!(run(host.as_ref(), script(left)).await.succeeded());
        let path = "/home/ops/file".parse().unwrap();
        host.write(&NewFile::new(path, 0o644), "x".into()).await.unwrap();
        let names = run(host.as_ref(), Command::new("ls").args(["-A", "/home/ops"])).await.text();
        assert!(names.contains("part-new") && !names.contains("part-old"), "{names}");
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_forwards_nothing_hangs_up_on_who_comes_and_keeps_letting_in() {
    with_sshd(async |sshd| {
        sshd.script(ECHOES).await;
        let host = sshd.connect(&sshd.user("ops")).await;
        let way = host.forward(ECHO).await.unwrap();
        assert_eq!(said(way.at(), b"who?").await.unwrap(), b"who?");
        sshd.configure("AllowTcpForwarding no").await;
        // The connection of before goes on as it was; sshd reads its settings for the next one.
        let refused = async {
            loop {
                let host = sshd.connect(&sshd.user("ops")).await;
                let way = host.forward(ECHO).await.unwrap();
                if said(way.at(), b"who?").await.unwrap_or_default().is_empty() {
                    return host;
                }
            }
        };
        let host = timeout(Duration::from_secs(20), refused).await.unwrap();
        assert!(run(host.as_ref(), Command::new("true")).await.succeeded(), "commands run");
    })
    .await;
}

#[tokio::test]
async fn a_visitor_of_a_way_who_says_nothing_is_hung_up_on_and_one_who_said_something_is_not() {
    with_sshd(async |sshd| {
        sshd.script(ECHOES).await;
        let host = sshd.connect(&sshd.user("ops")).await;
        let way = host.forward(ECHO).await.unwrap();
        let mut asks = TcpStream::connect(way.at()).await.unwrap();
        let mut silent = TcpStream::connect(way.at()).await.unwrap();
        let mut answer = [0; 4];
        asks.write_all(b"who?").await.unwrap();
        asks.read_exact(&mut answer).await.unwrap();
        let ended = timeout(Duration::from_secs(30), silent.read(&mut [0])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        asks.write_all(b"then").await.unwrap();
        asks.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"then");
    })
    .await;
}
