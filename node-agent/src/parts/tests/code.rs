//! Parts that are built of code on a share.

use async_trait::async_trait;
use common::failure::Failure;
use common::port::share::{self, Closed, Code, Folder, Limits};
use common::port::{Cause, Share};
use testkit::MemoryShare;
use testkit::shares::Health as ShareHealth;

use super::*;

const DOCKERFILE: &str = "scheduler/Dockerfile";

/// The code as it is on the share now.
async fn code(machine: &Machine) -> Code {
    let folder: Folder = "scheduler".parse().unwrap();
    let context = share::context(&machine.share, &folder, &Limits::default()).await.unwrap();
    Code { share: "code".parse().unwrap(), folder, digest: context.digest }
}

async fn built(machine: &Machine) -> PartSpec {
    PartSpec { image: PartImage::Built(code(machine).await), ..machine.spec() }
}

fn with_code() -> Machine {
    let machine = Machine::new();
    machine.share.put(DOCKERFILE, "FROM base\n");
    machine.share.put("scheduler/app/main.py", "print(1)\n");
    machine.shares.put(&"code".parse().unwrap(), &machine.share);
    machine
}

/// Why it failed; nothing of it may be left.
async fn refused(machine: &Machine, parts: &Parts, spec: &PartSpec) -> Failure {
    let failure = parts.ensure(ISSUER, spec).await.unwrap_err().to_failure();
    let told = parts.ledger.part(&spec.name).map(|told| told.spec.hash());
    assert_ne!(told, Some(spec.hash()), "it is not wanted any more");
    let built = machine.engine.fetch_image(&spec.image).await;
    assert!(matches!(built, Err(containers::Error::ImageUnavailable { .. })), "{built:?}");
    let files = machine.data.path().join("parts").join(spec.name.as_str()).join("files");
    assert!(!files.join(spec.hash()).exists(), "its files would hold keys");
    failure
}

#[tokio::test(start_paused = true)]
async fn code_may_be_built_before_anything_runs_it_and_only_on_the_word_of_who_leads() {
    let machine = with_code();
    machine
        .with_agent(async |parts| {
            let spec = built(&machine).await;
            let code = code(&machine).await;
            let newer = Issuer { epoch: Epoch(2), ..ISSUER };
            for _ in 0..2 {
                parts.build(newer, &code).await.unwrap();
            }
            assert!(matches!(parts.build(ISSUER, &code).await, Err(Error::Conflict(_))));
            assert!(machine.engine.parts().is_empty(), "nothing runs by it");
            machine.share.set_health(ShareHealth::Down);
            parts.ensure(newer, &spec).await.unwrap();
            assert_eq!((machine.engine.builds(), machine.runs()), (1, true));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn code_is_built_once_and_found_by_its_digest() {
    let machine = with_code();
    machine
        .with_agent(async |parts| {
            let first = built(&machine).await;
            let made = parts.ensure(ISSUER, &first).await.unwrap();
            assert_eq!(made.spec_hash, first.hash());
            let again = PartSpec { generation: Generation(4), ..first.clone() };
            machine.share.set_health(ShareHealth::Down);
            parts.ensure(ISSUER, &again).await.unwrap();
            assert_eq!((machine.engine.builds(), machine.runs()), (1, true));
            machine.share.set_health(ShareHealth::Answers);
            machine.share.put("scheduler/app/main.py", "print(2)\n");
            let newer = PartSpec { generation: Generation(5), ..built(&machine).await };
            parts.ensure(ISSUER, &newer).await.unwrap();
            assert_eq!(machine.engine.builds(), 2, "newer code is another image");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn several_parts_of_the_same_code_build_it_once() {
    let machine = with_code();
    machine
        .with_agent(async |parts| {
            let one = built(&machine).await;
            let other = PartSpec { name: "monitoring".parse().unwrap(), ..one.clone() };
            let (first, second) =
                futures::join!(parts.ensure(ISSUER, &one), parts.ensure(ISSUER, &other));
            assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
            assert_eq!((machine.engine.builds(), machine.engine.parts().len()), (1, 2));
        })
        .await;
}

/// What is done to the world, and what is said of it then.
type Fault = (fn(&Machine), FailureCode, &'static str);

const FAULTS: [Fault; 8] = [
    (
        |machine| machine.share.set_health(ShareHealth::Down),
        FailureCode::ShareUnavailable,
        "memory is unavailable: see whether memory is right and can be reached",
    ),
    (
        |machine| machine.share.set_health(ShareHealth::Refuses),
        FailureCode::ShareRefused,
        "memory refused the credentials (AuthenticationFailed): see whether the key",
    ),
    (
        |machine| machine.share.put("scheduler/app/main.py", "print(3)\n"),
        FailureCode::CodeMismatch,
        "has the digest sha256:",
    ),
    (
        |machine| machine.share.put("scheduler/app/late.py", ""),
        FailureCode::CodeMismatch,
        "name this digest if it is what is meant",
    ),
    (
        |machine| machine.share.put("scheduler/../../etc/passwd", "x"),
        FailureCode::CodeUnfit,
        "is refused: it leads out of its folder: rename or remove it",
    ),
    (
        |machine| {
            machine.share.remove(DOCKERFILE);
            machine.share.remove("scheduler/app/main.py");
        },
        FailureCode::CodeUnfit,
        "there are no files in scheduler of memory: put the service's files",
    ),
    (
        |machine| machine.share.put("scheduler/large", vec![0; (64 << 20) + 1]),
        FailureCode::CodeUnfit,
        "has more than 67108864 bytes",
    ),
    (
        |machine| machine.engine.set_health(Health::Full),
        FailureCode::InsufficientStorage,
        "there is no space left on the machine",
    ),
];

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_code_and_leaves_nothing_and_what_ran_goes_on() {
    for (spoil, code, sentence) in FAULTS {
        let machine = with_code();
        machine
            .with_agent(async |parts| {
                let old = machine.spec();
                parts.ensure(ISSUER, &old).await.unwrap();
                let new = PartSpec { generation: Generation(4), ..built(&machine).await };
                spoil(&machine);
                let failure = refused(&machine, parts, &new).await;
                assert_eq!(failure.code, code, "{failure}");
                assert!(failure.message.contains(sentence), "{failure}");
                assert_eq!((machine.runs(), machine.engine.starts(&old.name)), (true, 1));
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_built_says_its_last_words() {
    let machine = with_code();
    machine.share.put(DOCKERFILE, "FROM base\nRUN false\n");
    machine
        .with_agent(async |parts| {
            let failure = refused(&machine, parts, &built(&machine).await).await;
            assert_eq!(failure.code, FailureCode::BuildFailed);
            assert_eq!(failure.output, ["the step returned a non-zero code: 1"]);
        })
        .await;
    machine.share.remove(DOCKERFILE);
    machine
        .with_agent(async |parts| {
            let failure = refused(&machine, parts, &built(&machine).await).await;
            assert_eq!(failure.code, FailureCode::CodeUnfit);
            assert!(failure.message.contains("there is no Dockerfile in memory"), "{failure}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_that_nobody_told_of_is_unknown() {
    let machine = with_code();
    machine
        .with_agent(async |parts| {
            let other = Code { share: "other".parse().unwrap(), ..code(&machine).await };
            let spec = PartSpec { image: PartImage::Built(other), ..machine.spec() };
            let failure = refused(&machine, parts, &spec).await;
            assert_eq!(failure.code, FailureCode::ShareUnknown);
            assert!(failure.message.contains("knows of no share other"), "{failure}");
        })
        .await;
}

/// No share ever opens.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl Shares for Endless {
    async fn open(&self, _: &ShareName) -> Result<Arc<dyn Share>, Closed> {
        std::future::pending().await
    }

    async fn keep(&self, _: &ShareName, _: &Access) -> Result<(), Cause> {
        Ok(())
    }
}

impl Machine {
    /// Runs an agent that reads these shares.
    async fn with_agent_reading(&self, shares: Arc<dyn Shares>, test: impl AsyncFnOnce(&Parts)) {
        let (config, lifecycle) = (self.config(), Lifecycle::new());
        let ledger = Arc::new(Ledger::open(self.data.path()).unwrap());
        let (engine, alone) = (Arc::new(self.engine.clone()), Arc::new(Alone));
        let parts = Arc::new(Parts::new(engine, shares, alone, ledger, &config));
        tokio::select! {
            biased;
            () = parts.run(&config, &lifecycle) => panic!("the keeper ended"),
            () = test(&parts) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parts_that_wait_for_their_turn_to_be_built_hold_up_no_other() {
    let machine = with_code();
    let ordinary = machine.spec();
    let code = code(&machine).await;
    machine
        .with_agent_reading(Arc::new(Endless), async |parts| {
            parts.ensure(ISSUER, &ordinary).await.unwrap();
            // More than the keeper does at once, and whoever orders them goes away.
            for number in 0..12_u8 {
                let code = Code { digest: Digest::of(&[number]), ..code.clone() };
                let name = format!("service-{number}").parse().unwrap();
                let spec = PartSpec { name, image: PartImage::Built(code), ..machine.spec() };
                let ordered = parts.ensure(ISSUER, &spec);
                assert!(tokio::time::timeout(Duration::from_secs(5), ordered).await.is_err());
            }
            machine.engine.exit(&ordinary.name, 3);
            let took = machine.until(Machine::runs).await;
            assert!(took < Duration::from_secs(5), "{took:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_cut_off_while_it_builds_goes_on_when_it_is_back() {
    let machine = with_code();
    let spec = built(&machine).await;
    machine
        .with_agent(async |parts| {
            machine.engine.set_health(Health::Silent);
            let ordered = parts.ensure(ISSUER, &spec);
            assert!(tokio::time::timeout(Duration::from_mins(1), ordered).await.is_err());
        })
        .await;
    machine.engine.set_health(Health::Answers);
    machine
        .with_agent(async |_| {
            machine.until(Machine::runs).await;
            assert_eq!(machine.engine.builds(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_gone_is_built_again_with_growing_pauses_until_the_share_is_back() {
    let machine = with_code();
    let spec = built(&machine).await;
    machine.with_agent(async |parts| drop(parts.ensure(ISSUER, &spec).await.unwrap())).await;
    machine.engine.reboot();
    machine.engine.forget_built();
    machine.share.set_health(ShareHealth::Down);
    let asked = machine.share.listings();
    machine
        .with_agent(async |parts| {
            tokio::time::sleep(Duration::from_mins(30)).await;
            let asked = machine.share.listings() - asked;
            assert!((10..=16).contains(&asked), "it was asked {asked} times in half an hour");
            machine.share.set_health(ShareHealth::Answers);
            // Who orders it does not wait for the pause.
            parts.ensure(ISSUER, &spec).await.unwrap();
            let took = machine.until(Machine::runs).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_share_that_comes_back_is_found_within_the_longest_pause() {
    let machine = with_code();
    let spec = built(&machine).await;
    machine.with_agent(async |parts| drop(parts.ensure(ISSUER, &spec).await.unwrap())).await;
    machine.engine.reboot();
    machine.engine.forget_built();
    machine.share.set_health(ShareHealth::Down);
    machine
        .with_agent(async |_| {
            tokio::time::sleep(Duration::from_mins(30)).await;
            machine.share.set_health(ShareHealth::Answers);
            let took = machine.until(Machine::runs).await;
            assert!(took <= Duration::from_mins(5), "{took:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_shares_of_one_content_are_one_image() {
    let machine = with_code();
    let mirror = MemoryShare::new("mirror");
    mirror.put("elsewhere/Dockerfile", "FROM base\n");
    mirror.put("elsewhere/app/main.py", "print(1)\n");
    machine.shares.put(&"mirror".parse().unwrap(), &mirror);
    machine
        .with_agent(async |parts| {
            let first = built(&machine).await;
            parts.ensure(ISSUER, &first).await.unwrap();
            let (share, folder) = ("mirror".parse().unwrap(), "elsewhere".parse().unwrap());
            let moved = Code { share, folder, ..code(&machine).await };
            let image = PartImage::Built(moved);
            let second = PartSpec { image, generation: Generation(4), ..first };
            parts.ensure(ISSUER, &second).await.unwrap();
            assert_eq!((machine.engine.builds(), mirror.listings()), (1, 0));
        })
        .await;
}
