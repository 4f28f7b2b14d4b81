use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Outcome, Reconcile, Settings, Wake};
use tokio::time::Instant;

/// Notes when it was called for which key, and answers what it is told to.
struct Notebook {
    keys: Vec<u32>,
    calls: Mutex<Vec<(u32, Duration)>>,
    answer: fn(usize) -> Result<Outcome, Refused>,
    takes: Duration,
    started: Instant,
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl Notebook {
    fn new(keys: &[u32], answer: fn(usize) -> Result<Outcome, Refused>) -> Self {
        let (calls, takes) = (Mutex::default(), Duration::ZERO);
        Notebook { keys: keys.to_vec(), calls, answer, takes, started: Instant::now() }
    }

    fn times_of(&self, key: u32) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| *called == key).map(|(_, at)| at.as_secs()).collect()
    }
}

#[async_trait]
impl Reconcile for Notebook {
    type Key = u32;
    type Error = Refused;

    async fn keys(&self) -> Result<Vec<u32>, Refused> {
        Ok(self.keys.clone())
    }

    async fn reconcile(&self, key: &u32) -> Result<Outcome, Refused> {
        tokio::time::sleep(self.takes).await;
        let mut calls = self.calls.lock().unwrap();
        let before = calls.iter().filter(|(called, _)| called == key).count();
        calls.push((*key, self.started.elapsed()));
        (self.answer)(before)
    }
}

async fn drive(notebook: &Notebook, settings: Settings, wake: Wake<u32>, time: Duration) {
    let lifecycle = Lifecycle::new();
    let driver = Driver::new("test", settings, wake);
    tokio::select! {
        biased;
        () = driver.run(notebook, &lifecycle) => {}
        () = tokio::time::sleep(time) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn all_keys_are_looked_at_when_it_starts_and_at_every_scan() {
    let notebook = Notebook::new(&[1, 2], |_| Ok(Outcome::Settled));
    drive(&notebook, Settings::default(), Wake::new(), Duration::from_secs(61)).await;
    assert_eq!(notebook.times_of(1), [0, 30, 60]);
    assert_eq!(notebook.times_of(2), [0, 30, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_wake_is_answered_at_once_and_wakes_of_one_key_fold() {
    let notebook = Notebook::new(&[], |_| Ok(Outcome::Settled));
    let wake = Wake::new();
    let waking = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        wake.wake(7);
        wake.wake(7);
        std::future::pending::<()>().await;
    };
    let driving = drive(&notebook, Settings::default(), wake.clone(), Duration::from_secs(20));
    tokio::select! { biased; () = driving => {}, () = waking => {} }
    assert_eq!(notebook.times_of(7), [3]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_more_rarely() {
    let notebook =
        Notebook::new(&[1], |before| if before < 5 { Err(Refused) } else { Ok(Outcome::Settled) });
    let settings = Settings { first_retry: Duration::from_secs(1), ..Settings::default() };
    drive(&notebook, settings, Wake::new(), Duration::from_secs(29)).await;
    assert_eq!(notebook.times_of(1), [0, 1, 3, 7, 15, 25]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_asks_for_it_is_looked_at_again() {
    let again = |before| {
        Ok(if before == 0 { Outcome::Again(Duration::from_secs(4)) } else { Outcome::Settled })
    };
    let notebook = Notebook::new(&[1], again);
    drive(&notebook, Settings::default(), Wake::new(), Duration::from_secs(20)).await;
    assert_eq!(notebook.times_of(1), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_woken_while_it_is_worked_on_is_looked_at_once_more_afterwards() {
    let mut notebook = Notebook::new(&[], |_| Ok(Outcome::Settled));
    notebook.takes = Duration::from_secs(5);
    let wake = Wake::new();
    wake.wake(1);
    let waking = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        wake.wake(1);
        std::future::pending::<()>().await;
    };
    let driving = drive(&notebook, Settings::default(), wake.clone(), Duration::from_secs(25));
    tokio::select! { biased; () = driving => {}, () = waking => {} }
    assert_eq!(notebook.times_of(1), [5, 10]);
}

/// Its keys come slowly; what is woken meanwhile is not kept waiting.
struct SlowKeys(Notebook);

#[async_trait]
impl Reconcile for SlowKeys {
    type Key = u32;
    type Error = Refused;

    async fn keys(&self) -> Result<Vec<u32>, Refused> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.0.keys().await
    }

    async fn reconcile(&self, key: &u32) -> Result<Outcome, Refused> {
        self.0.reconcile(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_scan_holds_up_nobody() {
    let slow = SlowKeys(Notebook::new(&[1], |_| Ok(Outcome::Settled)));
    let wake = Wake::new();
    wake.wake(2);
    let lifecycle = Lifecycle::new();
    let driver = Driver::new("test", Settings::default(), wake);
    let driving = driver.run(&slow, &lifecycle);
    drop(tokio::time::timeout(Duration::from_secs(20), driving).await);
    assert_eq!(slow.0.times_of(2), [0]);
    assert_eq!(slow.0.times_of(1), [10]);
}

#[tokio::test(start_paused = true)]
async fn no_more_keys_are_worked_on_at_once_than_allowed() {
    let keys: Vec<u32> = (0..6).collect();
    let mut notebook = Notebook::new(&keys, |_| Ok(Outcome::Settled));
    notebook.takes = Duration::from_secs(1);
    let settings = Settings { at_once: 2, ..Settings::default() };
    drive(&notebook, settings, Wake::new(), Duration::from_secs(20)).await;
    let finished: BTreeSet<u64> = keys.iter().flat_map(|key| notebook.times_of(*key)).collect();
    assert_eq!(finished, BTreeSet::from([1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_never_done_do_not_keep_others_from_their_turn() {
    let mut notebook = Notebook::new(&[1, 2, 3, 4, 5], |_| Ok(Outcome::Again(Duration::ZERO)));
    notebook.takes = Duration::from_secs(1);
    let settings = Settings { at_once: 2, ..Settings::default() };
    drive(&notebook, settings, Wake::new(), Duration::from_millis(10_500)).await;
    let turns: Vec<usize> = notebook.keys.iter().map(|key| notebook.times_of(*key).len()).collect();
    assert!(turns.iter().all(|turns| (3..=5).contains(turns)), "{turns:?}");
}
