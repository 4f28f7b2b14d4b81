use common::port::disk::Kind;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const OLD: i64 = 1_000;
const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn named(app: &str, release: u64) -> ImageRef {
    let digest = Digest::of(format!("{app} {release}").as_bytes());
    ImageRef::new(&format!("registry.example.org:5000/apps/{app}"), digest).unwrap()
}

/// The release of an app; the engine's id of an image is not the digest of its name.
fn image(app: &str, release: u64) -> StoredImage {
    StoredImage {
        id: Digest::of(format!("id of {app} {release}").as_bytes()),
        kind: Kind::Image,
        names: vec![named(app, release)],
        repository: Some(format!("apps/{app}")),
        bytes: 100,
        own_bytes: 10,
        created: at(OLD + i64::try_from(release).unwrap()),
        containers: Vec::new(),
    }
}

fn claims() -> Claims {
    Claims { pinned: true, now: at(NOW), ..Claims::default() }
}

fn pin(app: &str, release: u64) -> (ImageRef, Reference) {
    (named(app, release), Reference::Pinned { by: format!("{app} release {release}") })
}

/// What may go, in words.
fn collectable(images: Vec<StoredImage>, claims: &Claims) -> String {
    let names = |item: &Item| item.names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let words = |item: &Item| {
        let name = names(item).join(" ");
        let known = (0..10).flat_map(|n| ["shop", "blog"].map(|app| (app, n)));
        let found = known.into_iter().find(|(app, n)| name == named(app, *n).to_string());
        found.map_or(name, |(app, n)| format!("{app} {n}"))
    };
    let items = items(images, claims);
    let going: Vec<String> = plan(&items, 0, Goal::Everything).into_iter().map(words).collect();
    going.join(", ")
}

#[test]
fn what_nobody_refers_to_goes_oldest_first() {
    let images = vec![image("shop", 3), image("blog", 1), image("shop", 2)];
    assert_eq!(collectable(images, &claims()), "blog 1, shop 2, shop 3");
}

#[test]
fn an_image_stays_for_whoever_refers_to_it_by_name_id_or_container() {
    let used = StoredImage { containers: vec!["a_stranger".to_owned()], ..image("blog", 4) };
    let images = vec![image("shop", 1), image("shop", 2), image("shop", 3), used.clone()];
    let part = Reference::Part { part: "registry".parse().unwrap() };
    let claims = Claims {
        named: vec![pin("shop", 1)],
        by_id: vec![(image("shop", 2).id, part.clone())],
        ..claims()
    };
    assert_eq!(collectable(images.clone(), &claims), "shop 3");
    let items = items(images, &claims);
    let references: Vec<&[Reference]> = items.iter().map(|item| &*item.references).collect();
    let container = Reference::Container { name: "a_stranger".to_owned() };
    assert_eq!(references, [&[pin("shop", 1).1][..], &[part], &[], &[container]]);
}

#[test]
fn the_newest_of_an_app_stay_while_anything_of_it_is_referred_to() {
    let images = || (1..=4).map(|n| image("shop", n)).chain([image("blog", 5)]).collect();
    let claims = Claims { newest: 2, named: vec![pin("shop", 1)], ..claims() };
    assert_eq!(collectable(images(), &claims), "shop 2, blog 5");
    let unused = Claims { named: Vec::new(), ..claims };
    assert_eq!(collectable(images(), &unused), "shop 1, shop 2, shop 3, shop 4, blog 5");
}

#[test]
fn until_somebody_says_what_is_kept_the_newest_of_every_app_stay() {
    let images = (1..=3).map(|n| image("shop", n)).chain([image("blog", 1)]).collect();
    let claims = Claims { newest: 1, pinned: false, ..claims() };
    assert_eq!(collectable(images, &claims), "shop 1, shop 2");
}

#[test]
fn what_was_made_or_used_a_moment_ago_stays() {
    let made = StoredImage { created: at(NOW - 60), ..image("shop", 1) };
    let recent = [named("shop", 2).digest().clone()].into();
    let claims = Claims { recent, ..claims() };
    assert_eq!(collectable(vec![made, image("shop", 2), image("shop", 3)], &claims), "shop 3");
}

#[test]
fn a_repository_is_another_one_than_that_whose_name_it_ends() {
    let claims = Claims { named: vec![pin("shop", 1)], ..claims() };
    assert!(claims.is_in_use("apps/shop") && claims.is_in_use("shop"));
    assert!(!claims.is_in_use("hop") && !claims.is_in_use("apps/blog"));
}

#[test]
fn a_disk_is_short_above_one_mark_and_relieved_below_another() {
    let thresholds = Thresholds { above_percent: 80.0, until_percent: 70.0 };
    let disk = |used_bytes: u64| Space { total_bytes: 1000, free_bytes: 1000 - used_bytes };
    assert_eq!(thresholds.goal(disk(800)), None);
    assert_eq!(thresholds.goal(disk(801)), Some(Goal::Free(300)));
    assert_eq!(thresholds.goal(disk(750)), None, "what was freed lasts");
    let all = Thresholds { above_percent: 100.0, until_percent: 100.0 };
    assert_eq!(all.goal(Space { total_bytes: u64::MAX, free_bytes: 0 }), None);
}

proptest! {
    #[test]
    fn a_plan_never_has_what_somebody_refers_to_and_no_more_than_it_needs(
        releases in btree_set(0_u64..40, 0..30),
        pinned in btree_set(0_u64..40, 0..20),
        running in btree_set(0_u64..40, 0..10),
        sizes in vec(0_u64..1000, 40),
        free_bytes in 0_u64..1000,
        wanted in any::<Option<u16>>(),
        newest in 0_usize..4,
    ) {
        let images: Vec<StoredImage> = releases.iter().map(|release| {
            let own_bytes = sizes[usize::try_from(*release).unwrap()];
            let containers = running.contains(release).then(|| "app".to_owned());
            StoredImage { own_bytes, containers: containers.into_iter().collect(), ..image("shop", *release) }
        }).collect();
        let named: Vec<_> = pinned.iter().map(|release| pin("shop", *release)).collect();
        let claims = Claims { named, newest, ..claims() };
        let items = items(images, &claims);
        let goal = wanted.map_or(Goal::Everything, |wanted| Goal::Free(wanted.into()));
        let planned = plan(&items, free_bytes, goal);
        for item in &planned {
            for release in pinned.iter().chain(&running) {
                prop_assert!(item.digest != image("shop", *release).id, "release {release} is referred to");
            }
        }
        prop_assert!(planned.is_sorted_by_key(|item| item.created));
        // Without the last one the goal would not have been reached.
        if let Some((_, before)) = planned.split_last() {
            let freed: u64 = before.iter().map(|item| item.own_bytes).sum();
            prop_assert!(!goal.is_reached(free_bytes + freed));
        }
        // Once it is carried out, what is left to do is nothing, or there is nothing left.
        let freed: u64 = planned.iter().map(|item| item.own_bytes).sum();
        let gone: Vec<Digest> = planned.iter().map(|item| item.digest.clone()).collect();
        let left: Vec<Item> = items.iter().filter(|item| !gone.contains(&item.digest)).cloned().collect();
        prop_assert_eq!(plan(&left, free_bytes + freed, goal).len(), 0);
    }
}
