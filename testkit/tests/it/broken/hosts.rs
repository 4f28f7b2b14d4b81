//! Broken machines: machines in memory, and one flaw before them.

mod flaw;
mod host;

use testkit::contract::hosts::{CLAUSES, World};
use testkit::hosts::Trial;

use super::{Planted, first_broken, missed, none, untried};
use flaw::{Flaw, Flawed};

fn planted(clause: &'static str, saying: &'static str, flaw: Flaw) -> Planted<dyn World> {
    let world = move || Box::new(Flawed::with(flaw)) as Box<dyn World>;
    Planted { flaw: format!("{flaw:?}"), clause, saying, world: Box::new(world) }
}

fn all() -> Vec<Planted<dyn World>> {
    let not_let_in = "the user is not let in";
    let words = "commands::get_their_words_as_they_are";
    vec![
        planted("entry::is_to_a_machine_that_shows_its_key", "its own key", Flaw::ShowsAnotherKey),
        planted("entry::is_to_the_pinned_machine_only", not_let_in, Flaw::TrustsAnybody),
        planted("entry::is_to_the_pinned_machine_only", "both are told", Flaw::HidesTheFoundKey),
        planted("entry::needs_somebody_who_listens", "no key", Flaw::TakesSilenceForLateness),
        planted("entry::is_for_known_users_only", not_let_in, Flaw::LetsAnybodyIn),
        planted("entry::needs_a_credential_that_is_there", "no credential", Flaw::BlamesTheMachine),
        planted("entry::needs_the_right_key", "a key is made once", Flaw::MakesAKeyEachTime),
        planted("entry::needs_the_right_password", not_let_in, Flaw::TakesAnyPassword),
        planted("entry::by_password_lets_a_key_in_for_good", "a key stays", Flaw::ForgetsOtherKeys),
        planted(words, "nothing is changed", Flaw::SplitsWords),
        planted("commands::get_their_environment", "left", Flaw::DropsTheEnvironment),
        planted("commands::get_their_environment", "left", Flaw::DropsTheEnvironmentOfRoot),
        planted("commands::get_their_input", "bytes came back", Flaw::CutsInput),
        planted("commands::say_how_they_ended", "false", Flaw::HidesHowItEnded),
        planted("commands::say_which_signal_ended_them", "Signalled", Flaw::HidesTheSignal),
        planted("commands::may_say_much_on_both_streams", "all of it", Flaw::LosesComplaints),
        planted("commands::have_a_bound_on_what_they_say", "says too much", Flaw::ListensForEver),
        planted("commands::have_a_deadline", "it happens in time", Flaw::WaitsForEver),
        planted("commands::run_as_root_where_asked", "where asked", Flaw::NeverIsRoot),
        planted("commands::run_as_root_where_asked", "not by itself", Flaw::AlwaysIsRoot),
        planted(
            "commands::do_not_run_as_root_where_that_is_not_allowed",
            "may not become root",
            Flaw::RunsWithoutRoot,
        ),
        planted("commands::that_no_machine_can_be_told_are_refused", "Ok(", Flaw::TellsAnything),
        planted(
            "commands::run_again_after_the_connection_was_lost",
            "it is made again",
            Flaw::StaysLost,
        ),
        planted("files::come_back_as_they_were_written", "beside it", Flaw::LeavesParts),
        planted("files::have_their_mode_and_their_owner", "600", Flaw::ForgetsTheMode),
        planted(
            "files::of_root_are_hidden_from_others",
            "not missing",
            Flaw::TakesHiddenForMissing,
        ),
        planted("files::may_come_in_chunks", "all chunks", Flaw::KeepsTheFirstChunk),
        planted("files::are_as_before_where_their_source_breaks", "it breaks", Flaw::KeepsWhatCame),
        planted("files::need_their_folder", "no folder", Flaw::MakesFolders),
        planted("files::that_are_too_large_are_not_read", "Ok(Some", Flaw::CutsLargeFiles),
        planted("ways::lead_to_what_the_machine_alone_reaches", "comes back", Flaw::LeadsBesideIt),
        planted(
            "ways::to_nobody_lead_nowhere_and_others_go_on",
            "nobody is there",
            Flaw::LeadsToAnybody,
        ),
        planted(
            "ways::lead_there_again_after_the_connection_was_lost",
            "made again",
            Flaw::LeadsNowhereOnceLost,
        ),
        planted("ways::end_with_who_has_them", "it happens in time", Flaw::LeadsForEver),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_flaw_of_a_machine_is_found_by_its_clause() {
    none(&missed(CLAUSES, &all()).await);
}

#[test]
fn every_clause_about_a_machine_has_a_flaw_that_it_finds() {
    none(&untried(CLAUSES, &all()));
}

#[tokio::test(start_paused = true)]
async fn machines_without_a_flaw_break_no_clause() {
    let sound = || Box::new(Trial::begin()) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &sound).await, None);
    let flawless = || Box::new(Flawed::with(Flaw::None)) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &flawless).await, None);
}
