//! Whether an image fits on the disk of a node: before it is built and fetched.

use std::fmt;

use common::digest::ImageRef;
use common::name::AppName;
use common::port::disk::{Disk, Item};

/// What stays free beside an image: for what a container writes, and for the node itself.
const BESIDE: u64 = 256 * MIB;
const MIB: u64 = 1024 * 1024;

/// The disk of a node, and what an app takes of it there: in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Room {
    needed: u64,
    free: u64,
    /// What the node frees by itself where it has to, at least.
    collectable: u64,
}

impl Room {
    /// Of an image that adds `bytes`; nothing is needed where it is already.
    pub(crate) fn on(disk: &Disk, image: Option<&ImageRef>, bytes: u64) -> Self {
        let is_there = image.is_some_and(|image| find(disk, image).is_some());
        Room {
            needed: if is_there { 0 } else { bytes.saturating_add(BESIDE) },
            free: disk.space.free_bytes,
            collectable: disk.collectable_bytes(),
        }
    }

    /// Whether the image is there already.
    pub(crate) fn has_image(self) -> bool {
        self.needed == 0
    }

    /// How much is missing, also after a collection.
    pub(crate) fn lacking_bytes(self) -> u64 {
        let had = self.free.saturating_add(self.collectable);
        self.needed.saturating_sub(had)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MiB are needed, {} MiB are free there, and a collection would free {} MiB",
            self.needed.div_ceil(MIB),
            self.free / MIB,
            self.collectable / MIB
        )
    }
}

/// How large an image is, as far as any node knows: what it takes where it is, else what the newest of its app does.
pub(crate) fn size<'a>(
    disks: impl Iterator<Item = &'a Disk> + Clone,
    app: &AppName,
    image: Option<&ImageRef>,
) -> u64 {
    let known = image.and_then(|image| disks.clone().find_map(|disk| find(disk, image)));
    let of_app = || newest(disks.flat_map(|disk| &disk.images), app);
    known.or_else(of_app).map_or(0, |item| item.bytes)
}

/// What an image of `bytes` adds to a disk: where one of its app stays, most layers are there, and it adds as much as
/// the newest of those did.
pub(crate) fn added(disk: &Disk, app: &AppName, bytes: u64) -> u64 {
    let staying = disk.images.iter().filter(|item| !item.is_collectable());
    newest(staying, app).map_or(bytes, |item| item.own_bytes.min(bytes))
}

fn newest<'a>(images: impl Iterator<Item = &'a Item>, app: &AppName) -> Option<&'a Item> {
    let repository = format!("apps/{app}");
    images.filter(|item| is_of(item, &repository)).max_by_key(|item| (item.created, item.bytes))
}

fn find<'a>(disk: &'a Disk, image: &ImageRef) -> Option<&'a Item> {
    let is_it = |item: &&Item| {
        item.digest == *image.digest()
            || item.names.iter().any(|name| name.digest() == image.digest())
    };
    disk.images.iter().find(is_it)
}

fn is_of(item: &Item, repository: &str) -> bool {
    item.names.iter().any(|name| {
        let host = name.repository().strip_suffix(repository);
        host.is_some_and(|host| host.is_empty() || host.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use common::digest::Digest;
    use common::port::disk::{Bundle, Kind, Reference, Space};
    use jiff::Timestamp;

    use super::*;

    fn image(release: i64) -> ImageRef {
        let digest = Digest::of(release.to_string().as_bytes());
        ImageRef::new("registry.example.org:5000/apps/shop", digest).unwrap()
    }

    fn disk(free_mib: u64, releases: &[i64]) -> Disk {
        let item = |release: &i64| Item {
            kind: Kind::Image,
            digest: Digest::of(format!("id {release}").as_bytes()),
            names: vec![image(*release)],
            bytes: 100 * MIB * u64::try_from(*release).unwrap(),
            own_bytes: 10 * MIB,
            created: Timestamp::from_second(*release).unwrap(),
            references: if *release == 1 { Vec::new() } else { vec![Reference::Recent] },
        };
        let space = Space { total_bytes: u64::MAX, free_bytes: free_mib * MIB };
        let images = releases.iter().map(item).collect();
        let (at, bundles) = (Timestamp::UNIX_EPOCH, Vec::new());
        Disk { at, space, images, bundles, bundle_space: None }
    }

    #[test]
    fn an_image_is_as_large_as_where_it_is_or_as_the_newest_of_its_app() {
        let disks = [disk(0, &[1, 3]), disk(0, &[2])];
        let shop = "shop".parse().unwrap();
        let size_of = |image: Option<&ImageRef>, app| size(disks.iter(), app, image) / MIB;
        assert_eq!(size_of(Some(&image(2)), &shop), 200);
        assert_eq!(size_of(Some(&image(9)), &shop), 300);
        assert_eq!(size_of(None, &shop), 300);
        assert_eq!(size_of(None, &"hop".parse().unwrap()), 0, "nobody knows it");
    }

    #[test]
    fn where_an_image_of_the_app_stays_the_next_adds_only_what_is_its_own() {
        let shop = "shop".parse().unwrap();
        let added_mib = |releases: &[i64], app: &AppName, mib: u64| {
            let disk = disk(0, releases);
            added(&disk, app, mib * MIB) / MIB
        };
        assert_eq!(added_mib(&[], &shop, 200), 200);
        assert_eq!(added_mib(&[2], &shop, 200), 10);
        assert_eq!(added_mib(&[2], &shop, 5), 5, "never more than all of it");
        assert_eq!(added_mib(&[1], &shop, 200), 200, "a collection may take that one");
        assert_eq!(added_mib(&[2], &"hop".parse().unwrap(), 200), 200, "another app's");
    }

    #[test]
    fn what_a_collection_would_free_counts_and_an_image_that_is_there_needs_nothing() {
        let lacking =
            |disk: &Disk, wanted| Room::on(disk, Some(&image(wanted)), 100 * MIB).lacking_bytes();
        assert_eq!(lacking(&disk(356, &[]), 9), 0);
        assert_eq!(lacking(&disk(355, &[]), 9), MIB);
        assert_eq!(lacking(&disk(346, &[1]), 9), 0);
        assert_eq!(lacking(&disk(345, &[1]), 9), MIB);
        assert_eq!(lacking(&disk(0, &[9]), 9), 0);
        let mut shelved = disk(353, &[]);
        for references in [Vec::new(), vec![Reference::Recent]] {
            shelved.bundles.push(Bundle { digest: Digest::of(b"x"), bytes: 2 * MIB, references });
        }
        assert_eq!(lacking(&shelved, 9), MIB, "of two bundles one may go");
        shelved.bundle_space = Some(Space { total_bytes: 1, free_bytes: 1 });
        assert_eq!(lacking(&shelved, 9), 3 * MIB, "not on the disk of images");
        let said = Room::on(&disk(300, &[1]), None, 100 * MIB).to_string();
        let expected =
            "356 MiB are needed, 300 MiB are free there, and a collection would free 10 MiB";
        assert_eq!(said, expected);
    }
}
