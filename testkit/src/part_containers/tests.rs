//! The fake keeps the contract.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use common::digest::Digest;
use common::port::PartContainers;

use super::*;
use crate::clock::ManualClock;
use crate::contract::part_containers::{World, holds};

struct Simulated {
    engine: MemoryPartContainers,
    image: PartImage,
    next: AtomicU32,
}

#[async_trait]
impl World for Simulated {
    fn containers(&self) -> &dyn PartContainers {
        &self.engine
    }

    fn image(&self) -> PartImage {
        self.image.clone()
    }

    fn fresh_name(&self) -> PartName {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("part-{number}").parse().unwrap()
    }

    async fn crash(&self, name: &PartName) {
        self.engine.exit(name, 137);
    }

    async fn occupy_name(&self, name: &PartName) {
        self.engine.occupy_name(name);
    }

    fn dockerfile(&self) -> String {
        format!("FROM base\nLABEL turn={}\n", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let clock = Arc::new(ManualClock::ticking());
    let engine = MemoryPartContainers::new(clock, MemoryRegistry::default());
    let image = PartImage::Id(Digest::of(b"image"));
    engine.place_image(&image);
    holds(&Simulated { engine, image, next: AtomicU32::new(1) }).await;
}
