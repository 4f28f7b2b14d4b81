//! What nodes are told of their bundles, by what refers to them: counted over all nodes. One that is needed is never said
//! to be free, nor is one that somebody used a while ago, on whatever node. And of which images they are told that they are
//! kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::agent::ORDER_BYTES;
use common::digest::{Digest, ImageRef};
use common::name::NodeName;
use common::port::disk::{Bundle, Disk, Need, Needs, Pin, Reference};

/// How many of those who refer to a bundle are told.
const MOST_TOLD: usize = 5;

/// Who refers to which bundle.
pub(crate) type References = BTreeMap<Digest, BTreeSet<String>>;

/// What each node is told that has bundles. The references were read after the nodes had looked.
pub(crate) fn needs(
    disks: &BTreeMap<NodeName, Arc<Disk>>,
    references: &References,
) -> BTreeMap<NodeName, Needs> {
    let bundles = || disks.values().flat_map(|disk| &disk.bundles);
    let recent: BTreeSet<&Digest> =
        bundles().filter(|bundle| is_recent(bundle)).map(|bundle| &bundle.digest).collect();
    let need = |bundle: &Bundle| {
        let digest = bundle.digest.clone();
        match references.get(&digest) {
            Some(by) => Some(Need { digest, by: by.iter().take(MOST_TOLD).cloned().collect() }),
            None if recent.contains(&digest) => None,
            None => Some(Need { digest, by: Vec::new() }),
        }
    };
    let of_node = |(node, disk): (&NodeName, &Arc<Disk>)| {
        let bundles = disk.bundles.iter().filter_map(need).collect();
        (node.clone(), Needs { at: disk.at, bundles })
    };
    disks.iter().filter(|(_, disk)| !disk.bundles.is_empty()).map(of_node).collect()
}

/// So much of an order is for pins.
const PIN_BYTES: usize = ORDER_BYTES - 4096;
/// What is written of a pin besides its words.
const WRITTEN: usize = 32;

/// Whether a node can be told of all of them at once.
pub(crate) fn fits(pins: &[Pin]) -> bool {
    let size = |pin: &Pin| pin.image.to_string().len() + pin.by.len() + WRITTEN;
    pins.iter().map(size).sum::<usize>() <= PIN_BYTES
}

/// Those of apps of which a node has an image, and of images that it has: no other one could go there.
pub(crate) fn pins_of(disk: &Disk, pins: &[Pin]) -> Vec<Pin> {
    let names = || disk.images.iter().flat_map(|item| &item.names);
    let apps: BTreeSet<&str> = names().map(app).collect();
    let digests = disk.images.iter().map(|item| &item.digest);
    let digests: BTreeSet<&Digest> = digests.chain(names().map(ImageRef::digest)).collect();
    let is_there =
        |pin: &&Pin| apps.contains(app(&pin.image)) || digests.contains(pin.image.digest());
    pins.iter().filter(is_there).cloned().collect()
}

/// Whichever registry it is in.
fn app(image: &ImageRef) -> &str {
    image.repository().rsplit('/').next().unwrap_or_default()
}

fn is_recent(bundle: &Bundle) -> bool {
    bundle.references.contains(&Reference::Recent)
}

#[cfg(test)]
mod tests {
    use common::port::disk::{Item, Kind, Space};
    use jiff::Timestamp;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn digest(bundle: u8) -> Digest {
        Digest::of(&[bundle])
    }

    /// A node's disk with these bundles, of which some were used a moment ago.
    fn disk(second: i64, bundles: &BTreeMap<u8, bool>) -> Disk {
        let bundle = |(bundle, recent): (&u8, &bool)| {
            let why = if *recent { Reference::Recent } else { Reference::Unsaid };
            Bundle { digest: digest(*bundle), bytes: 10, references: vec![why] }
        };
        Disk {
            at: Timestamp::from_second(second).unwrap(),
            space: Space { total_bytes: 1000, free_bytes: 100 },
            images: Vec::new(),
            bundles: bundles.iter().map(bundle).collect(),
            bundle_space: None,
        }
    }

    fn disks(bundles: &[BTreeMap<u8, bool>]) -> BTreeMap<NodeName, Arc<Disk>> {
        let disk = |(number, bundles): (i64, &BTreeMap<u8, bool>)| {
            (format!("node-{number}").parse().unwrap(), Arc::new(disk(number, bundles)))
        };
        (1..).zip(bundles).map(disk).collect()
    }

    fn references(of: impl IntoIterator<Item = u8>) -> References {
        of.into_iter()
            .map(|bundle| (digest(bundle), [format!("release {bundle}")].into()))
            .collect()
    }

    /// What is said of bundles: `3 free`, or for whom they are.
    fn told(needs: &Needs) -> Vec<String> {
        let number = |need: &Need| (0..=u8::MAX).find(|bundle| digest(*bundle) == need.digest);
        let say = |need: &Need| match &*need.by {
            [] => format!("{} free", number(need).unwrap()),
            by => by.join(", "),
        };
        let mut told: Vec<String> = needs.bundles.iter().map(say).collect();
        told.sort();
        told
    }

    #[test]
    fn each_node_is_told_of_its_own_bundles_and_what_is_recent_anywhere_is_not_free() {
        let disks = disks(&[
            [(1, false), (2, false), (3, false)].into(),
            [(3, true), (4, true)].into(),
            [].into(),
        ]);
        let needs = needs(&disks, &references([1, 4, 9]));
        let said: Vec<Vec<String>> = needs.values().map(told).collect();
        assert_eq!(said, [vec!["2 free", "release 1"], vec!["release 4"]]);
        assert_eq!(needs.values().map(|needs| needs.at.as_second()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_node_that_cannot_be_told_of_all_images_is_told_of_those_of_the_apps_that_it_has() {
        let image = |name: &str, release: u64| {
            ImageRef::new(name, Digest::of(&release.to_le_bytes())).unwrap()
        };
        let pin = |name: &str, release| Pin { image: image(name, release), by: "x".to_owned() };
        let item = |id: u64, names| Item {
            kind: Kind::Image,
            digest: Digest::of(&id.to_le_bytes()),
            names,
            bytes: 1,
            own_bytes: 1,
            created: Timestamp::UNIX_EPOCH,
            references: Vec::new(),
        };
        // One that it fetched of a former registry, one that it built without any.
        let images = vec![item(1, vec![image("old.example.org/apps/shop", 2)]), item(3, vec![])];
        let disk = Disk { images, ..disk(1, &BTreeMap::new()) };
        let there = [pin("example.org/apps/shop", 9), pin("apps/blog", 3), pin("apps/blog", 2)];
        let elsewhere = [pin("apps/blog", 9), pin("apps/shopping", 9)];
        let all: Vec<Pin> = elsewhere.iter().chain(&there).cloned().collect();
        assert_eq!(pins_of(&disk, &all), there);

        let many = |count: u64| -> Vec<Pin> {
            (0..count).map(|release| pin("apps/shop", release)).collect()
        };
        let written = |pins: &[Pin]| serde_json::to_vec(pins).unwrap().len();
        let (few, most) = (many(17_000), many(25_000));
        assert!(fits(&few) && written(&few) < ORDER_BYTES, "{}", written(&few));
        assert!(!fits(&most) && written(&most) > ORDER_BYTES, "{}", written(&most));
    }

    proptest! {
        #[test]
        fn what_somebody_refers_to_is_free_on_no_node(
            nodes in vec(btree_map(0_u8..30, any::<bool>(), 0..20), 0..4),
            needed in btree_set(0_u8..30, 0..20),
        ) {
            let disks = disks(&nodes);
            let needs = needs(&disks, &references(needed.clone()));
            prop_assert_eq!(needs.len(), nodes.iter().filter(|node| !node.is_empty()).count());
            for need in needs.values().flat_map(|needs| &needs.bundles) {
                let bundle = (0..30).find(|bundle| digest(*bundle) == need.digest).unwrap();
                prop_assert_eq!(need.by.is_empty(), !needed.contains(&bundle));
                let recent = nodes.iter().any(|node| node.get(&bundle) == Some(&true));
                prop_assert!(!need.by.is_empty() || !recent, "{bundle} was used a moment ago");
            }
        }
    }
}
