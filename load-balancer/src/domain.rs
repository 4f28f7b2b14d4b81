//! What the load balancer decides. Pure: no tokio, no clock, no store.

pub(crate) mod balance;
pub(crate) mod certificate;
pub(crate) mod front_ports;
pub(crate) mod illness;
pub(crate) mod lists;
pub(crate) mod renewal;
pub(crate) mod restarts;
pub(crate) mod route;
pub(crate) mod scale;
pub(crate) mod table;
pub(crate) mod traffic;
