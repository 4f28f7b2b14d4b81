//! What the platform as it is set needs of this machine.

use std::path::Path;

use super::settings::Settings;
use crate::doctor;

pub(in crate::command) fn needs(settings: &Settings, data: &Path) -> doctor::Settings {
    let frames = [
        &settings.app_manager.frame,
        &settings.deployment_manager.frame,
        &settings.node_manager.frame,
        &settings.load_balancer.frame,
        &settings.monitoring.frame,
        &settings.node_agent.frame,
    ];
    let addresses = frames.map(|frame| [frame.http.address, frame.http.internal_address]);
    doctor::Settings {
        socket: settings.node_agent.meant.socket.clone(),
        folder: data.to_owned(),
        services: addresses.into_iter().flatten().flatten().collect(),
        edge: doctor::Edge::at(settings.edge.bind),
    }
}
