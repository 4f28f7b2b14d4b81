//! What a platform says of its own doors.

use serde::Deserialize;

use crate::credentials::is_of_this_computer;

/// `GET /api/v1/platform`, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Platform {
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    service: String,
    instances: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    address: String,
}

impl Platform {
    /// The app managers as they listen for people. Whoever came by HTTPS came through somebody's proxy, and whoever
    /// asked his own computer most likely through a tunnel: there the same addresses are somebody else's, and a token
    /// would go to him in the clear.
    pub(super) fn doors(self, server: &str) -> Vec<String> {
        if !server.starts_with("http://") || is_of_this_computer(server) {
            return Vec::new();
        }
        let is_door = |service: &Service| service.service == "application_manager";
        let instances = self.services.into_iter().filter(is_door).flat_map(|one| one.instances);
        instances.map(|instance| format!("http://{}", instance.address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn app_managers_are_doors_and_nobody_else() {
        let told = || -> Platform {
            serde_json::from_value(json!({ "goal": "on", "services": [
                { "service": "application_manager", "nodes": [], "instances": [
                    { "address": "192.0.2.1:8010", "state": "ready" },
                    { "address": "192.0.2.2:8010", "state": "silent" },
                ]},
                { "service": "monitoring", "instances": [{ "address": "192.0.2.1:8070" }] },
            ]}))
            .unwrap()
        };
        let doors = ["http://192.0.2.1:8010", "http://192.0.2.2:8010"];
        assert_eq!(told().doors("http://192.0.2.1:8010"), doors);
        assert_eq!(told().doors("https://example.org"), [""; 0]);
        assert_eq!(told().doors("http://127.0.0.1:8010"), [""; 0], "a tunnel");
    }
}
