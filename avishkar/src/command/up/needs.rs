//! What the platform as it is set needs of this machine.

use std::path::Path;

use super::settings::Settings;
use crate::doctor;

pub(in crate::command) fn needs(settings: &Settings, data: &Path) -> doctor::Settings {
    let addresses =
        settings.frames().map(|(_, frame)| [frame.http.address, frame.http.internal_address]);
    doctor::Settings {
        socket: settings.node_agent.meant.socket.clone(),
        folder: data.to_owned(),
        services: addresses.into_iter().flatten().flatten().collect(),
        edge: settings.edge.listens(),
    }
}
