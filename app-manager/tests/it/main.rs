//! The app manager as a whole, over fakes of its ports and real HTTP.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by unwrapping it")]
#![expect(clippy::indexing_slicing, reason = "a missing part of an answer fails the test")]

mod canary;
mod certificates;
mod decisions;
mod deployments;
mod described;
mod disks;
mod document_001;
mod drains;
mod events;
mod logs;
mod machines;
mod models;
mod openapi;
mod outages;
mod platform;
mod releases;
mod replicas;
mod roles;
mod rollback;
mod schedule_input;
mod schedule_messages;
mod schedule_races;
mod schedule_restarts;
mod schedules;
mod sign_in;
mod topics;
mod uploads;
mod world;
