//! What makes it so: the route of an app that is on its way, the edge's table, the drain and end of routes, the outcome of scales,
//! the edge's certificates and those that are asked for. Each is one idempotent function of a key, and may be stopped at any point.

pub(crate) mod announce;
pub(crate) mod balance;
pub(crate) mod certificates;
pub(crate) mod orders;
pub(crate) mod route;
pub(crate) mod scale;
pub(crate) mod table;

use std::fmt;

use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Reconcile, Settings, Wake};
use common::name::LegacyName;

/// Has a reconciler called until the process stops; `name` is the loop's.
pub(crate) async fn drive<R: Reconcile>(
    name: &'static str,
    settings: Settings,
    wake: &Wake<R::Key>,
    reconciler: R,
    lifecycle: &Lifecycle,
) {
    Driver::new(name, settings, wake.clone()).run(&reconciler, lifecycle).await;
}

/// The key of a reconciler that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Single;

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
    }
}

/// What the route reconciler looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RouteKey {
    Route(LegacyName),
    /// The lease of a front port.
    Port(u16),
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteKey::Route(instance) => write!(f, "route {instance}"),
            RouteKey::Port(port) => write!(f, "port {port}"),
        }
    }
}
