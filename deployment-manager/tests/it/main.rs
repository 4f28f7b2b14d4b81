//! The deployment manager in process, over fakes, with paused time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod builds;
mod canary;
mod crash;
mod deploy;
mod edge;
mod emptied;
mod failure;
mod http;
mod node_manager;
mod nodes;
mod ports;
mod rebalance;
mod redeploy;
mod requests;
mod rollback;
mod stop;
mod world;
