//! What holds of commands.

use std::time::Duration;

use bytes::Bytes;
use common::port::host::{Command, End, Error};
use tokio::time::Instant;

use super::{World, run, signed_in, within};

const MUCH: usize = 3 * 1024 * 1024;
/// How much later than its deadline a command may be told to have missed it.
const LATE: Duration = Duration::from_secs(4);

pub(super) async fn get_their_words_as_they_are(world: &dyn World) {
    let host = signed_in(world).await;
    let words = [
        "a b", "", "'", "''", "\"", "$HOME", "`id`", "$(id)", "\\", "*", "~", "-n", ";", "é",
        "a\nb",
    ];
    let command = Command::new("printf").args(["%s\\n"]).args(words);
    let output = run(host.as_ref(), command).await;
    let expected: String = words.iter().flat_map(|word| [*word, "\n"]).collect();
    assert_eq!(output.stdout, expected, "nothing is changed, nothing is done");
}

pub(super) async fn get_their_environment(world: &dyn World) {
    let host = signed_in(world).await;
    let value = "it's $HOME, and more";
    for asked in [Command::new("printenv"), Command::new("printenv").by_root()] {
        let command = asked.args(["AVISHKAR_TRIAL"]).env("AVISHKAR_TRIAL", value);
        assert_eq!(run(host.as_ref(), command).await.text(), value);
    }
    let without = run(host.as_ref(), Command::new("printenv").args(["AVISHKAR_TRIAL"])).await;
    assert_eq!(without.end, End::Exited(1), "only those commands have it");
}

pub(super) async fn get_their_input(world: &dyn World) {
    let host = signed_in(world).await;
    let empty = run(host.as_ref(), Command::new("cat")).await;
    assert!(empty.succeeded() && empty.stdout.is_empty(), "no input ends at once: {empty:?}");
    let input: Bytes = (0..=250_u8).cycle().take(MUCH).collect();
    let command = Command::new("cat").stdin(input.clone()).saying_at_most(MUCH);
    let output = run(host.as_ref(), command).await;
    assert!(output.stdout == input, "{} bytes came back", output.stdout.len());
    // A program need not read what it is given.
    let command = Command::new("true").stdin(input);
    assert!(run(host.as_ref(), command).await.succeeded());
}

pub(super) async fn say_how_they_ended(world: &dyn World) {
    let host = signed_in(world).await;
    for (program, code) in [("true", 0), ("false", 1), ("no-such-program", 127)] {
        let output = run(host.as_ref(), Command::new(program)).await;
        assert_eq!(output.end, End::Exited(code), "{program}");
    }
    let missing = run(host.as_ref(), Command::new("no-such-program")).await;
    assert!(missing.complaint().contains("no-such-program"), "{missing:?}");
}

pub(super) async fn say_which_signal_ended_them(world: &dyn World) {
    let host = signed_in(world).await;
    let output = run(host.as_ref(), world.ended_by_signal()).await;
    assert_eq!(output.end, End::Signalled("KILL".to_owned()));
}

pub(super) async fn may_say_much_on_both_streams(world: &dyn World) {
    let host = signed_in(world).await;
    let output = run(host.as_ref(), world.flood(MUCH).saying_at_most(2 * MUCH)).await;
    let said = (output.end, output.stdout.len(), output.stderr.len());
    assert_eq!(said, (End::Exited(0), MUCH, MUCH), "all of it");
}

pub(super) async fn have_a_bound_on_what_they_say(world: &dyn World) {
    let host = signed_in(world).await;
    let limit = 100_000;
    let command = world.flood(limit).saying_at_most(limit);
    let refused = within(host.run(&command)).await.expect_err("it says too much");
    let told = matches!(&refused, Error::OutputTooLarge { limit: told, .. } if *told == limit);
    assert!(told && refused.is_outcome_unknown(), "{refused:?}");
    assert!(run(host.as_ref(), Command::new("true")).await.succeeded(), "the next one runs");
}

pub(super) async fn have_a_deadline(world: &dyn World) {
    let host = signed_in(world).await;
    let deadline = Duration::from_secs(1);
    let began = Instant::now();
    let command = Command::new("sleep").args(["600"]).within(deadline);
    let refused = within(host.run(&command)).await.expect_err("it takes too long");
    let told = matches!(&refused, Error::DeadlineExceeded { program, after, .. } if program == "sleep" && *after == deadline);
    assert!(told && refused.is_outcome_unknown(), "{refused:?}");
    let took = began.elapsed();
    assert!(took >= deadline && took < deadline + LATE, "told after {took:?}");
    assert!(run(host.as_ref(), Command::new("true")).await.succeeded(), "the next one runs");
}

pub(super) async fn run_as_root_where_asked(world: &dyn World) {
    let host = signed_in(world).await;
    let id = || Command::new("id").args(["-u"]);
    assert_ne!(run(host.as_ref(), id()).await.text(), "0", "not by itself");
    assert_eq!(run(host.as_ref(), id().by_root()).await.text(), "0", "where asked");
}

pub(super) async fn do_not_run_as_root_where_that_is_not_allowed(world: &dyn World) {
    let access = world.without_sudo();
    let host = within(world.hosts().connect(&access)).await.expect("the user is let in");
    let refused = within(host.run(&Command::new("id").args(["-u"]).by_root())).await;
    let refused = refused.expect_err("the user may not become root");
    let told = matches!(&refused, Error::NoSudo { user, .. } if *user == access.user);
    assert!(told && !refused.is_retryable(), "{refused:?}");
    assert!(run(host.as_ref(), Command::new("true")).await.succeeded(), "other commands run");
}

pub(super) async fn that_no_machine_can_be_told_are_refused(world: &dyn World) {
    let host = signed_in(world).await;
    for command in
        [Command::new(""), Command::new("cat").args(["a\0b"]), Command::new("cat").env("A B", "")]
    {
        let refused = within(host.run(&command)).await;
        assert!(matches!(refused, Err(Error::Unfit(_))), "{command:?}: {refused:?}");
    }
}

pub(super) async fn run_again_after_the_connection_was_lost(world: &dyn World) {
    let host = signed_in(world).await;
    assert!(run(host.as_ref(), Command::new("true")).await.succeeded());
    world.cut().await;
    assert!(run(host.as_ref(), Command::new("true")).await.succeeded(), "it is made again");
}
