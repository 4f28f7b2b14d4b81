//! What every [`Hosts`] keeps, and every machine that one is signed in to: one clause a sentence of the port's words.

mod commands;
mod entry;
mod files;
mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::port::host::{Access, Command, Error, Gate, Output};
use common::port::{Host, Hosts};
use tokio::time::timeout;

use super::Clause;
use super::clause::{all_hold, clauses};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A machine, and what the suite needs to know of it.
#[async_trait(?Send)]
pub trait World {
    fn hosts(&self) -> &dyn Hosts;

    /// A user other than root who may become root, by a key in a file.
    fn access(&self) -> Access;

    /// A user who may not become root.
    fn without_sudo(&self) -> Access;

    /// A user that nobody holds a key of yet, by a password in a file.
    fn with_password(&self) -> Access;

    /// A file of this computer with a password of nobody.
    fn wrong_password(&self) -> PathBuf;

    /// A file of this computer that nobody made yet; whoever makes keys can make one there.
    fn fresh_file(&self) -> PathBuf;

    /// An empty folder of the machine in which the user of [`World::access`] may write; another each time.
    async fn fresh_folder(&self) -> String;

    /// Where nobody listens.
    fn nobody(&self) -> Gate;

    /// A command that is ended by the signal KILL.
    fn ended_by_signal(&self) -> Command;

    /// A command that says so many bytes on standard error, and then as many on standard output.
    fn flood(&self, bytes: usize) -> Command;

    /// Where the machine alone finds somebody who says again what he is told. On the next port nobody listens.
    fn echo(&self) -> SocketAddr;

    /// Connects to a port of this computer, says this and no more, and gives what is answered to its end; nothing where
    /// one is hung up on before.
    async fn say(&self, at: SocketAddr, words: &[u8]) -> Option<Vec<u8>>;

    /// All connections are lost; the machine goes on.
    async fn cut(&self);
}

/// All clauses. Each relies on those before it.
pub const CLAUSES: &[Clause<dyn World>] = clauses![
    entry::is_to_a_machine_that_shows_its_key,
    entry::is_to_the_pinned_machine_only,
    entry::needs_somebody_who_listens,
    entry::is_for_known_users_only,
    entry::needs_a_credential_that_is_there,
    entry::needs_the_right_key,
    entry::needs_the_right_password,
    entry::by_password_lets_a_key_in_for_good,
    commands::get_their_words_as_they_are,
    commands::get_their_environment,
    commands::get_their_input,
    commands::say_how_they_ended,
    commands::say_which_signal_ended_them,
    commands::may_say_much_on_both_streams,
    commands::have_a_bound_on_what_they_say,
    commands::have_a_deadline,
    commands::run_as_root_where_asked,
    commands::do_not_run_as_root_where_that_is_not_allowed,
    commands::that_no_machine_can_be_told_are_refused,
    commands::run_again_after_the_connection_was_lost,
    files::come_back_as_they_were_written,
    files::have_their_mode_and_their_owner,
    files::of_root_are_hidden_from_others,
    files::may_come_in_chunks,
    files::are_as_before_where_their_source_breaks,
    files::need_their_folder,
    files::that_are_too_large_are_not_read,
    ways::lead_to_what_the_machine_alone_reaches,
    ways::to_nobody_lead_nowhere_and_others_go_on,
    ways::lead_there_again_after_the_connection_was_lost,
    ways::end_with_who_has_them,
];

/// Fails unless the hosts of `world` keep the contract.
pub async fn holds(world: &(dyn World + 'static)) {
    all_hold(CLAUSES, world).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn signed_in(world: &dyn World) -> Arc<dyn Host> {
    let connected = within(world.hosts().connect(&world.access())).await;
    connected.expect("the user is let in")
}

async fn refusal(world: &dyn World, access: &Access) -> Error {
    let connected = within(world.hosts().connect(access)).await;
    connected.map(drop).expect_err("the user is not let in")
}

async fn run(host: &dyn Host, command: Command) -> Output {
    within(host.run(&command)).await.expect("the command runs to its end")
}
