//! Bundles among what is collected.

use std::convert::Infallible;
use std::time::Duration;

use common::port::blobs::Shelf as _;
use common::port::disk::Need;
use common::port::{Blobs as _, Clock as _};
use futures::stream;

use super::*;
use crate::cleaning;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const BEFORE: Issuer = Issuer { service: ServiceName::NodeManager, epoch: Epoch(0) };

/// Some service has it kept here.
async fn put(agent: &Agent, text: &'static str) -> Digest {
    let digest = Digest::of(text.as_bytes());
    let bytes = Bytes::from_static(text.as_bytes());
    agent.bundles.take(&digest, stream::iter([Ok::<_, Infallible>(bytes)])).await.unwrap();
    digest
}

/// Time goes by, by all clocks.
async fn pass(machine: &Machine, time: SignedDuration) {
    machine.clock.advance(time);
    tokio::time::advance(Duration::try_from(time).unwrap()).await;
}

/// The node manager looks, counts, and says that nobody refers to any but these.
async fn only_needed(agent: &Agent, needed: &[&Digest]) {
    let disk = look(agent).await.unwrap();
    let need = |bundle: &Bundle| {
        let by = needed.contains(&&bundle.digest).then(|| "shop release 1".to_owned());
        Need { digest: bundle.digest.clone(), by: by.into_iter().collect() }
    };
    let needs = Needs { at: disk.at, bundles: disk.bundles.iter().map(need).collect() };
    need_is(agent, needs).await;
}

async fn need_is(agent: &Agent, needs: Needs) {
    super::need(agent, PINNER, needs, Word::All).await.unwrap();
}

/// Why each stays.
async fn why(agent: &Agent) -> Vec<String> {
    let bundles = look(agent).await.unwrap().bundles;
    let words = |bundle: &Bundle| {
        bundle.references.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    bundles.iter().map(words).collect()
}

async fn has(machine: &Machine, bundle: &Digest) -> bool {
    machine.blobs.list().await.unwrap().contains(bundle)
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_nobody_needs_goes_after_the_images_and_is_in_the_account() {
    let machine = Machine::new();
    let agent = machine.agent();
    let image = machine.built("blog", "of a former app").await;
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    let first = put(&agent, "the first").await;
    pass(&machine, HOUR).await;
    let needed = put(&agent, "needed").await;
    let second = put(&agent, "the second one").await;
    pass(&machine, HOUR * 2).await;
    let unsaid = "nobody has said whether it is needed";
    assert_eq!(why(&agent).await, [unsaid, unsaid, unsaid]);
    only_needed(&agent, &[&needed]).await;
    let disk = look(&agent).await.unwrap();
    let images_bytes: u64 = disk.collectable().map(|item| item.own_bytes).sum();
    assert_eq!(disk.collectable_bytes() - images_bytes, 9 + 14, "the sizes of both");
    assert_eq!(disk.bundle_space, None, "all is on one disk");
    let held = agent.bundles.held().await.unwrap();
    assert_eq!(held.held.len(), 3, "what is held is said, also what is free");
    assert!(held.free.len() == 2 && !held.free.contains(&needed), "nobody copies the others");

    let plan = collect(&agent, Collection { mode: Mode::Plan, ..EVERYTHING }).await.unwrap();
    let kinds: Vec<Kind> = plan.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [Kind::Image, Kind::Bundle, Kind::Bundle]);
    assert_eq!(plan.items[1].digest, first, "the longest unused first");
    assert_eq!(plan.freed_bytes(), disk.collectable_bytes());
    assert!(has(&machine, &first).await, "a plan removes nothing");
    let collected = collect(&agent, EVERYTHING).await.unwrap();
    assert_eq!(collected.items, plan.items);
    assert!(!machine.has(&image).await);
    assert!(!has(&machine, &first).await && !has(&machine, &second).await);
    assert!(has(&machine, &needed).await);
    assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, [], "nothing is left to do");
}

#[tokio::test(start_paused = true)]
async fn bundles_on_a_disk_of_their_own_go_for_that_one_and_make_no_room_on_the_other() {
    let machine = Machine::new();
    // No disk of any machine's, and never short.
    let images_disk = Config { disk: "/proc".into(), ..machine.config() };
    let short = Config { clean_above_percent: 0.0, clean_until_percent: 0.0, ..images_disk };
    let agent = machine.agent_with(short);
    let image = machine.built("blog", "of a former app").await;
    pin(&agent, PINNER, Vec::new()).await.unwrap();
    let bundle = put(&agent, "bundle").await;
    pass(&machine, HOUR).await;
    only_needed(&agent, &[]).await;

    let disk = look(&agent).await.unwrap();
    let images_bytes: u64 = disk.collectable().map(|item| item.own_bytes).sum();
    assert_eq!(disk.collectable_bytes(), images_bytes);
    assert!(disk.bundle_space.unwrap().total_bytes > disk.space.total_bytes);
    let would_go = async |until_free_bytes| {
        let plan = Collection { until_free_bytes, mode: Mode::Plan };
        let planned = collect(&agent, plan).await.unwrap().items;
        planned.iter().map(|item| item.kind).collect::<Vec<_>>()
    };
    assert_eq!(would_go(Some(u64::MAX)).await, [Kind::Image]);
    assert_eq!(would_go(None).await, [Kind::Image, Kind::Bundle]);

    cleaning::relieve(&agent).await;
    assert!(!has(&machine, &bundle).await && machine.has(&image).await);
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_used_after_it_was_found_free_stays_until_it_is_found_so_again() {
    for is_put in [true, false] {
        let machine = Machine::new();
        let agent = machine.agent();
        let bundle = put(&agent, "bundle").await;
        pass(&machine, HOUR).await;
        let seen = look(&agent).await.unwrap();
        only_needed(&agent, &[]).await;
        assert_eq!(why(&agent).await, [""]);
        if is_put {
            put(&agent, "bundle").await;
        } else {
            drop(agent.bundles.open_one(&bundle).await.unwrap());
        }
        assert_eq!(why(&agent).await, ["used a moment ago"]);
        // What was counted before it was used is late, or an hour goes by in which nobody counts.
        let free = Need { digest: bundle.clone(), by: Vec::new() };
        need_is(&agent, Needs { at: seen.at, bundles: vec![free.clone()] }).await;
        assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, []);
        pass(&machine, HOUR).await;
        need_is(&agent, Needs { at: seen.at, bundles: vec![free] }).await;
        assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, []);
        assert!(has(&machine, &bundle).await);
        only_needed(&agent, &[]).await;
        assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items.len(), 1);
        assert!(!has(&machine, &bundle).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_put_while_it_goes_is_there_in_the_end() {
    let machine = Machine::new();
    let agent = machine.agent();
    let (mut came_first, mut waited) = (0, 0);
    for polls in 0..8 {
        let bundle = put(&agent, "bundle").await;
        pass(&machine, HOUR).await;
        only_needed(&agent, &[]).await;
        let mut removing = Box::pin(collect(&agent, EVERYTHING));
        let mut is_gone = false;
        for _ in 0..polls {
            is_gone = is_gone || futures::poll!(&mut removing).is_ready();
            if is_gone {
                break;
            }
        }
        if is_gone {
            continue;
        }
        let mut putting = Box::pin(put(&agent, "bundle"));
        match tokio::time::timeout(Duration::from_secs(1), &mut putting).await {
            Ok(_) => {
                came_first += 1;
                let items = removing.await.unwrap().items;
                assert!(items.iter().all(|item| item.stays.is_some()), "after {polls} steps");
            }
            Err(_) => {
                waited += 1;
                drop(futures::join!(putting, removing));
            }
        }
        assert!(has(&machine, &bundle).await, "after {polls} steps");
    }
    assert!(came_first > 0 && waited > 0, "{came_first} came first, {waited} waited");
    let bundle = put(&agent, "bundle").await;
    pass(&machine, HOUR).await;
    only_needed(&agent, &[]).await;
    let seen = agent.bundles.look().await.unwrap().remove(0);
    assert!(seen.is_collectable());
    let mut reading = Box::pin(agent.bundles.open_one(&bundle));
    assert!(futures::poll!(&mut reading).is_pending());
    let stays = agent.bundles.remove(&seen).await.unwrap();
    assert_eq!(stays.as_deref(), Some("it is being used"));
    assert!(reading.await.is_ok());
    let stays = agent.bundles.remove(&seen).await.unwrap();
    assert_eq!(stays.as_deref(), Some("used a moment ago"), "since it was looked at");
    assert!(has(&machine, &bundle).await);
}

#[tokio::test(start_paused = true)]
async fn a_use_by_a_clock_that_was_ahead_is_one_of_now() {
    let machine = Machine::new();
    let agent = machine.agent();
    let bundle = put(&agent, "bundle").await;
    let ahead = |time| machine.blobs.touch(&bundle, machine.clock.now() + time);
    pass(&machine, HOUR).await;
    let minutes = SignedDuration::from_mins;
    // An hour later it may go, if it was said to be of now.
    for (time, later) in [(HOUR * 24 * 365, ""), (minutes(4), "used a moment ago")] {
        ahead(time).await.unwrap();
        assert_eq!(why(&agent).await, ["used a moment ago"]);
        pass(&machine, HOUR - minutes(1)).await;
        only_needed(&agent, &[]).await;
        assert_eq!(why(&agent).await, ["used a moment ago"]);
        pass(&machine, minutes(1)).await;
        only_needed(&agent, &[]).await;
        assert_eq!(why(&agent).await, [later]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_bundles_is_said_by_who_leads_and_ends_with_the_process_or_in_time() {
    let machine = Machine::new();
    let agent = machine.agent();
    let bundle = put(&agent, "bundle").await;
    pass(&machine, HOUR).await;
    only_needed(&agent, &[&bundle]).await;
    let at = machine.clock.now();
    let free = Needs { at, bundles: vec![Need { digest: bundle.clone(), by: Vec::new() }] };
    let refused = super::need(&agent, BEFORE, free, Word::All).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(why(&agent).await, ["shop release 1"]);
    only_needed(&agent, &[]).await;
    assert_eq!(why(&agent).await, [""]);
    pass(&machine, SignedDuration::from_mins(15)).await;
    assert_eq!(why(&agent).await, ["nobody has said whether it is needed"]);
    only_needed(&agent, &[]).await;
    drop(agent);
    let agent = machine.agent();
    assert_eq!(
        collect(&agent, EVERYTHING).await.unwrap().items,
        [],
        "nobody has said it to this one"
    );
    assert!(has(&machine, &bundle).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_one_look_may_come_in_parts_and_of_the_next_takes_its_place() {
    let unsaid = "nobody has said whether it is needed";
    let machine = Machine::new();
    let agent = machine.agent();
    let first = put(&agent, "first").await;
    pass(&machine, SignedDuration::from_secs(1)).await;
    let second = put(&agent, "second").await;
    pass(&machine, HOUR).await;
    let say = async |at, bundle: &Digest, by: &[&str], word| {
        let by = by.iter().map(|by| (*by).to_owned()).collect();
        let needs = Needs { at, bundles: vec![Need { digest: bundle.clone(), by }] };
        super::need(&agent, PINNER, needs, word).await.unwrap();
        why(&agent).await
    };
    let at = look(&agent).await.unwrap().at;
    assert_eq!(say(at, &first, &[], Word::All).await, ["", unsaid]);
    assert_eq!(say(at, &second, &[], Word::More).await, ["", ""]);
    let kept = ["shop release 1"];
    assert_eq!(say(at, &first, &kept, Word::More).await, ["shop release 1", ""], "said later");
    pass(&machine, SignedDuration::from_mins(5)).await;
    let at = look(&agent).await.unwrap().at;
    let lost = "of its first part nobody knows";
    assert_eq!(say(at, &second, &[], Word::More).await, [unsaid, ""], "{lost}");
    assert_eq!(say(at, &first, &[], Word::All).await, ["", unsaid]);
}

#[tokio::test(start_paused = true)]
async fn of_what_was_free_no_copies_are_made_because_an_agent_starts_anew_or_nobody_speaks() {
    let machine = Machine::new();
    let mut agent = machine.agent();
    let bundle = put(&agent, "bundle").await;
    let free = [bundle.clone()];
    let listed_free = async |agent: &Agent| {
        let listed = agent.bundles.held().await.unwrap();
        assert_eq!(listed.held, free, "what is held is said, whatever it is");
        listed.free
    };
    assert_eq!(listed_free(&agent).await, [], "it was put a moment ago");
    pass(&machine, HOUR).await;
    assert_eq!(listed_free(&agent).await, [], "nobody has spoken for an hour");
    only_needed(&agent, &[]).await;
    assert_eq!(listed_free(&agent).await, free);
    pass(&machine, HOUR).await;
    assert_eq!(listed_free(&agent).await, free, "as was said last");
    assert_eq!(why(&agent).await, ["nobody has said whether it is needed"]);
    drop(agent);

    agent = machine.agent();
    assert_eq!(listed_free(&agent).await, free, "it cannot know yet");
    assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, [], "nor does it remove it");
    pass(&machine, SignedDuration::from_mins(15)).await;
    assert_eq!(listed_free(&agent).await, [], "nobody speaks to it");
    drop(agent);

    agent = machine.agent();
    only_needed(&agent, &[&bundle]).await;
    assert_eq!(listed_free(&agent).await, []);
    only_needed(&agent, &[]).await;
    assert_eq!(listed_free(&agent).await, free);
    drop(agent.bundles.open_one(&bundle).await.unwrap());
    assert_eq!(listed_free(&agent).await, [], "it was asked for");
}

/// Whether the node manager counts who refers to bundles.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    References,
    Nothing,
}

/// How often a collection that ended somewhere lost the bundle that is needed, or the next one left another.
#[derive(Debug, Default, PartialEq)]
struct Ended {
    before_any_went: u32,
    between: u32,
    after_all_went: u32,
    lost: u32,
    left: u32,
}

async fn ended_anywhere(counts: Counts) -> Ended {
    let mut ends = Ended::default();
    for polls in 0..24 {
        let machine = Machine::new();
        let agent = machine.agent();
        let needed = put(&agent, "needed").await;
        let others = [put(&agent, "one").await, put(&agent, "other").await];
        let counted = if counts == Counts::References { vec![&needed] } else { Vec::new() };
        pass(&machine, HOUR).await;
        only_needed(&agent, &counted).await;
        let mut collecting = Box::pin(collect(&agent, EVERYTHING));
        for _ in 0..polls {
            if futures::poll!(&mut collecting).is_ready() {
                break;
            }
        }
        drop(collecting);
        match machine.blobs.list().await.unwrap().len() {
            3 => ends.before_any_went += 1,
            2 => ends.between += 1,
            _ => ends.after_all_went += 1,
        }
        drop(agent);
        let agent = machine.agent();
        assert_eq!(collect(&agent, EVERYTHING).await.unwrap().items, [], "nobody has spoken");
        only_needed(&agent, &counted).await;
        collect(&agent, EVERYTHING).await.unwrap();
        ends.lost += u32::from(!has(&machine, &needed).await);
        for other in &others {
            ends.left += u32::from(has(&machine, other).await);
        }
    }
    ends
}

#[tokio::test(start_paused = true)]
async fn a_collection_of_bundles_that_ended_anywhere_loses_none_that_is_needed() {
    let ends = ended_anywhere(Counts::References).await;
    assert_eq!((ends.lost, ends.left), (0, 0), "{ends:?}");
    let everywhere = [ends.before_any_went, ends.between, ends.after_all_went];
    assert!(everywhere.iter().all(|times| *times > 0), "{ends:?}");
    // Nothing else than the references keeps it.
    assert_eq!(ended_anywhere(Counts::Nothing).await.lost, 24);
}
