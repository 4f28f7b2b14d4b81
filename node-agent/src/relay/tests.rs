use std::net::Ipv4Addr;

use common::id::Epoch;
use common::port::nodes::Issuer;
use common::service::ServiceName;
use tempfile::TempDir;

use super::*;

const ISSUER: Issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
const PATIENCE: Duration = Duration::from_secs(10);

fn ledger() -> (TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    (folder, ledger)
}

async fn registry_is_at(ledger: &Ledger, registry: SocketAddr) {
    ledger.change(|entries| entries.set_registry(ISSUER, registry)).await.unwrap();
}

/// Says its name to whoever connects, then whatever it hears.
async fn echo(listener: TcpListener, name: u8) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        writer.write_all(&[name]).await.unwrap();
        drop(tokio::io::copy(&mut reader, &mut writer).await);
        drop(writer.shutdown().await);
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Says something to the relay and hears all that comes back.
async fn ask(relay: SocketAddr, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(relay).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let say = async {
        // A relay without a registry may be gone already.
        drop(writer.write_all(said).await);
        drop(writer.shutdown().await);
    };
    let mut heard = Vec::new();
    let asked = async { futures::join!(say, reader.read_to_end(&mut heard)).1 };
    drop(tokio::time::timeout(PATIENCE, asked).await.unwrap());
    heard
}

#[tokio::test]
async fn what_connects_here_reaches_the_registry_wherever_it_is() {
    let (_folder, ledger) = ledger();
    let (relay, at) = listener().await;
    let ((first, first_at), (second, second_at)) = (listener().await, listener().await);
    let asking = async {
        assert_eq!(ask(at, b"nobody").await, b"", "there is no registry yet");
        registry_is_at(&ledger, first_at).await;
        let large = vec![7; 1 << 20];
        let heard = ask(at, &large).await;
        assert!(heard[0] == b'1' && heard[1..] == large);
        registry_is_at(&ledger, second_at).await;
        assert_eq!(ask(at, b"moved").await, b"2moved");
    };
    tokio::select! {
        biased;
        () = serve(&relay, &ledger) => panic!("the relay ended"),
        () = echo(first, b'1') => {}
        () = echo(second, b'2') => {}
        () = asking => {}
    }
}

#[tokio::test]
async fn a_registry_that_is_away_is_like_none() {
    let (_folder, ledger) = ledger();
    let (relay, at) = listener().await;
    let (gone, gone_at) = listener().await;
    drop(gone);
    registry_is_at(&ledger, gone_at).await;
    tokio::select! {
        biased;
        () = serve(&relay, &ledger) => panic!("the relay ended"),
        heard = ask(at, b"hello") => assert_eq!(heard, b""),
    }
}

#[tokio::test]
async fn no_more_connections_are_open_than_there_may_be() {
    let (_folder, ledger) = ledger();
    let (relay, at) = listener().await;
    let (silent, silent_at) = listener().await;
    registry_is_at(&ledger, silent_at).await;
    let asking = async {
        let mut kept = Vec::new();
        for _ in 0..=CONNECTIONS {
            kept.push(TcpStream::connect(at).await.unwrap());
        }
        let mut reached = Vec::new();
        for _ in 0..CONNECTIONS {
            reached.push(silent.accept().await.unwrap());
        }
        let next = tokio::time::timeout(Duration::from_millis(200), silent.accept()).await;
        assert!(next.is_err(), "one more than there may be");
        // A connection is over once both ends have said all.
        kept.drain(..CONNECTIONS);
        reached.clear();
        tokio::time::timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    };
    tokio::select! {
        biased;
        () = serve(&relay, &ledger) => panic!("the relay ended"),
        () = asking => {}
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_and_tried_again() {
    let (_folder, ledger) = ledger();
    let (taken, at) = listener().await;
    let lifecycle = Lifecycle::new();
    let asking = async {
        while lifecycle.is_ready() {
            tokio::task::yield_now().await;
        }
        drop(taken);
        while !lifecycle.is_ready() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lifecycle.stop();
    };
    let relayed = async { futures::join!(run(Some(at), &ledger, &lifecycle), asking) };
    tokio::time::timeout(PATIENCE, relayed).await.unwrap();
}
