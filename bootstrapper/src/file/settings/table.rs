//! Which settings of which service may be said in a fleet: how much, how long, how often. Never where something is, who
//! somebody is, or what is secret: that follows from the rest of the file.

use common::service::ServiceName;

use super::Kind::{self, File, Number, Whole, Words};

const DAY: i64 = 86_400;

/// Of every service.
pub(super) const EVERYWHERE: &[(&str, Kind)] =
    &[("telemetry.level", Words(&["error", "warn", "info", "debug", "trace"]))];

/// Of one.
pub(super) fn of(service: ServiceName) -> &'static [(&'static str, Kind)] {
    match service {
        ServiceName::AppManager => APP_MANAGER,
        ServiceName::DeploymentManager => DEPLOYMENT_MANAGER,
        ServiceName::NodeManager => NODE_MANAGER,
        ServiceName::LoadBalancer => LOAD_BALANCER,
        ServiceName::Monitoring => MONITORING,
        ServiceName::LifecycleManager => LIFECYCLE_MANAGER,
        ServiceName::PlatformInitializer => PLATFORM_INITIALIZER,
        ServiceName::NodeAgent => &[],
    }
}

/// The first is never above the second.
pub(super) fn orders(service: ServiceName) -> &'static [(&'static str, &'static str)] {
    match service {
        ServiceName::AppManager => &[
            ("apps.default_memory_mib", "apps.max_memory_mib"),
            ("apps.default_cpus", "apps.max_cpus"),
        ],
        ServiceName::NodeManager => {
            &[("node_manager.suspect_after_ms", "node_manager.dead_after_ms")]
        }
        ServiceName::Monitoring => &[
            ("probes.every_ms", "probes.apps_every_ms"),
            ("probes.bad", "probes.window"),
            ("restarts.first_wait_seconds", "restarts.last_wait_seconds"),
        ],
        ServiceName::LifecycleManager => &[
            ("restarts.first_wait_seconds", "restarts.last_wait_seconds"),
            ("lifecycle.silent_after_seconds", "lifecycle.repair_after_seconds"),
        ],
        ServiceName::DeploymentManager
        | ServiceName::LoadBalancer
        | ServiceName::PlatformInitializer
        | ServiceName::NodeAgent => &[],
    }
}

const APP_MANAGER: &[(&str, Kind)] = &[
    ("auth.token_minutes", Whole(1, 43_200)),
    ("auth.command_line_token_minutes", Whole(1, 43_200)),
    ("uploads.max_mib", Whole(1, 1024)),
    ("uploads.at_once", Whole(1, 256)),
    ("uploads.check_seconds", Whole(1, 600)),
    ("apps.default_memory_mib", Whole(16, 1_048_576)),
    ("apps.default_cpus", Number(0.05, 256.0)),
    ("apps.max_memory_mib", Whole(16, 1_048_576)),
    ("apps.max_cpus", Number(0.05, 256.0)),
    ("apps.max_processes", Whole(16, 4096)),
    ("apps.max_replicas", Whole(1, 1000)),
];

const DEPLOYMENT_MANAGER: &[(&str, Kind)] = &[
    ("deployment.deploy_seconds", Whole(1, DAY)),
    ("deployment.stop_seconds", Whole(1, DAY)),
    ("deployment.undo_seconds", Whole(1, DAY)),
    ("deployment.ask_again_seconds", Whole(1, DAY)),
    ("deployment.need_node_seconds", Whole(1, DAY)),
    ("deployment.node_seconds", Whole(1, DAY)),
    ("deployment.image_seconds", Whole(1, DAY)),
    ("deployment.health_seconds", Whole(1, DAY)),
    ("deployment.front_seconds", Whole(1, DAY)),
    ("deployment.keep_removed_seconds", Whole(1, DAY)),
    ("deployment.scan_seconds", Whole(1, DAY)),
    ("deployment.sweep_seconds", Whole(1, DAY)),
    ("deployment.max_replicas", Whole(1, 25)),
    ("deployment.keep_releases", Whole(1, 25)),
    ("deployment.at_once", Whole(1, 256)),
    ("deployment.rebalance_seconds", Whole(0, DAY)),
    ("deployment.watch_seconds", Whole(0, 300)),
    ("build.at_once", Whole(1, 64)),
    ("build.max_unpacked_mebibytes", Whole(1, 4096)),
];

const NODE_MANAGER: &[(&str, Kind)] = &[
    ("node_manager.keep_samples_days", Whole(1, 3650)),
    ("node_manager.keep_releases", Whole(1, 1000)),
    ("node_manager.quarantine_seconds", Whole(0, 3600)),
    ("node_manager.placement", Words(&["spread", "same-node"])),
    ("node_manager.patience_seconds", Whole(0, 300)),
    ("node_manager.suspect_after_ms", Whole(500, 600_000)),
    ("node_manager.dead_after_ms", Whole(500, 600_000)),
    ("node_manager.hold_down_seconds", Whole(0, 3600)),
    ("node_manager.alert_percent", Number(1.0, 100.0)),
];

const LOAD_BALANCER: &[(&str, Kind)] = &[
    ("edge.confirm_seconds", Whole(1, 300)),
    ("edge.drain_seconds", Whole(0, 600)),
    ("scaling.max_replicas", Whole(1, 1000)),
    ("scaling.deadline_seconds", Whole(1, DAY)),
    ("scaling.window_samples", Whole(1, 600)),
    ("scaling.brake_after", Whole(1, 100)),
    ("scaling.default_min", Whole(1, 1000)),
    ("scaling.default_max", Whole(0, 1000)),
];

const MONITORING: &[(&str, Kind)] = &[
    ("probes.every_ms", Whole(100, 600_000)),
    ("probes.apps_every_ms", Whole(100, 600_000)),
    ("probes.within_ms", Whole(50, 20_000)),
    ("probes.app_within_ms", Whole(50, 20_000)),
    ("probes.at_once", Whole(1, 1024)),
    ("probes.window", Whole(1, 100)),
    ("probes.bad", Whole(1, 100)),
    ("probes.good", Whole(1, 100)),
    ("probes.grace_seconds", Whole(0, 3600)),
    ("restarts.first_wait_seconds", Whole(1, DAY)),
    ("restarts.last_wait_seconds", Whole(1, DAY)),
    ("restarts.calm_seconds", Whole(0, DAY)),
    ("restarts.limit", Whole(1, 1000)),
    ("restarts.limit_seconds", Whole(1, DAY)),
    ("restarts.brake_percent", Whole(1, 99)),
    ("alerts.give_up_hours", Whole(1, 720)),
    ("alerts.owed_at_most", Whole(0, 10_000)),
    ("alerts.keep_days", Whole(1, 3650)),
];

const LIFECYCLE_MANAGER: &[(&str, Kind)] = &[
    ("lifecycle.look_every_ms", Whole(100, 60_000)),
    ("lifecycle.answer_within_ms", Whole(100, 30_000)),
    ("lifecycle.window_seconds", Whole(1, 600)),
    ("lifecycle.silent_after_seconds", Whole(1, 600)),
    ("lifecycle.repair_after_seconds", Whole(1, DAY)),
    ("lifecycle.brake_percent", Whole(1, 100)),
    ("lifecycle.machine_restarts_per_hour", Whole(0, 16)),
    ("restarts.gather_ms", Whole(100, 30_000)),
    ("restarts.first_wait_seconds", Whole(1, 3600)),
    ("restarts.last_wait_seconds", Whole(1, DAY)),
    ("restarts.calm_seconds", Whole(1, DAY)),
    ("restarts.limit", Whole(1, 1000)),
    ("restarts.limit_seconds", Whole(1, DAY)),
    ("restarts.within_seconds", Whole(5, 3600)),
    ("restarts.machine_within_seconds", Whole(5, 3600)),
    ("rollout.ready_within_seconds", Whole(1, 3600)),
    ("rollout.restart_after_seconds", Whole(1, 3600)),
    ("rollout.keeper_restart_after_seconds", Whole(60, 3600)),
    ("rollout.move_after_seconds", Whole(1, 3600)),
    ("rollout.registry_after_seconds", Whole(1, DAY)),
    ("rollout.effect_within_seconds", Whole(1, 600)),
    ("provision.pause_seconds", Whole(0, DAY)),
    ("provision.within_seconds", Whole(10, 7200)),
];

const PLATFORM_INITIALIZER: &[(&str, Kind)] = &[
    ("platform.services_file", File),
    ("platform.instances", Whole(1, 8)),
    ("platform.start_within_seconds", Whole(1, DAY)),
    ("platform.ready_within_seconds", Whole(1, DAY)),
    ("platform.stop_within_seconds", Whole(1, DAY)),
    ("platform.answer_within_seconds", Whole(1, DAY)),
    ("machines.file", File),
];
