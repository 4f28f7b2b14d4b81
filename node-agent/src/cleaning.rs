//! Cares for the disk: when it fills up, images of apps that nothing here needs are removed.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::digest::ImageRef;
use common::port::part::PartImage;

use crate::agent::Agent;
use crate::meter::disk_percent;

const EVERY: Duration = Duration::from_mins(1);

/// Runs until the process stops.
pub(crate) async fn run(agent: &Agent, lifecycle: &Lifecycle) {
    while !lifecycle.is_stopping() {
        let used = disk_percent(&agent.config.disk).unwrap_or_default();
        if used > agent.config.clean_above_percent {
            clean(agent, used).await;
        }
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn clean(agent: &Agent, used: f64) {
    let ledger = agent.ledger.read();
    let apps = ledger.containers().specs().map(|spec| spec.image.clone());
    let parts = ledger.parts().specs().filter_map(|spec| match &spec.image {
        PartImage::Named(image) => Some(image.clone()),
        PartImage::Built(code) => Some(code.image()),
        PartImage::Id(_) => None,
    });
    let needed: BTreeSet<ImageRef> = apps.chain(parts).collect();
    match agent.ports.containers.remove_unused_images(&needed, agent.config.keep_newest).await {
        Ok(0) => tracing::warn!(disk.percent = used, "the disk fills up, and no image can go"),
        Ok(removed) => tracing::info!(disk.percent = used, removed, "images were removed"),
        Err(err) => {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                disk.percent = used,
                "the disk fills up, and images cannot be removed"
            );
        }
    }
}
