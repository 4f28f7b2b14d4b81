//! Broken backends of machines: one in memory, and one flaw before it.

mod flaw;
mod given;

use testkit::contract::machines::{CLAUSES, GIVEN, GivenWorld, World};

use super::{Planted, first_broken, missed, none, untried};
use flaw::{Flaw, Flawed};
use given::{Given, GivenFlaw};

fn planted(clause: &'static str, saying: &'static str, flaw: Flaw) -> Planted<dyn World> {
    let world = move || Box::new(Flawed::with(flaw)) as Box<dyn World>;
    Planted { flaw: format!("{flaw:?}"), clause, saying, world: Box::new(world) }
}

fn all() -> Vec<Planted<dyn World>> {
    let no_machine = "making::needs_no_machine_to_say_that_there_is_none";
    let another = "making::refuses_another_specification_of_the_same_name";
    vec![
        planted(no_machine, "can be deleted", Flaw::DeletesOnlyWhatIsThere),
        planted("making::gives_a_machine_that_runs_and_is_known", "reached", Flaw::HidesTheKey),
        planted("making::twice_gives_one_machine", "went on running", Flaw::RestartsWhatRuns),
        planted("making::side_by_side_gives_one_machine", "can be made", Flaw::IsConfusedByTwo),
        planted("making::lets_in_who_was_authorized", "is let in", Flaw::LetsNobodyIn),
        planted("making::gives_each_its_own_key_and_address", "for each", Flaw::HasOneKey),
        planted(another, "another machine", Flaw::TakesAnySpecification),
        planted("making::gives_the_wanted_address_to_one_only", "it is taken", Flaw::GivesAny),
        planted("making::leaves_alone_what_is_not_the_platforms", "still there", Flaw::Tidies),
        planted("running::is_needed_of_a_machine_that_exists_only", "no such", Flaw::StopsNothing),
        planted("running::ends_and_begins_as_asked", "stands still", Flaw::NeverStops),
        planted("running::begins_when_it_is_made_again", "it runs", Flaw::LeavesItStopped),
        planted("running::begins_anew_when_restarted", "it booted", Flaw::NeverRestarts),
        planted("running::begins_again_after_a_loss_of_power", "no power", Flaw::NeverLooks),
        planted("making::is_undone_by_deleting", "it is gone", Flaw::ListsTheDead),
        planted("making::is_undone_by_deleting", "the former", Flaw::TakesItForTheFormer),
    ]
}

fn planted_given(
    clause: &'static str,
    saying: &'static str,
    flaw: GivenFlaw,
) -> Planted<dyn GivenWorld> {
    let world = move || Box::new(Given::with(flaw)) as Box<dyn GivenWorld>;
    Planted { flaw: format!("{flaw:?}"), clause, saying, world: Box::new(world) }
}

fn all_given() -> Vec<Planted<dyn GivenWorld>> {
    vec![
        planted_given("given::machines_are_listed_and_found", "all:", GivenFlaw::HidesTheSilent),
        planted_given(
            "given::machines_that_do_not_answer_are_unknown",
            "nobody can tell",
            GivenFlaw::TakesSilenceForSleep,
        ),
        planted_given(
            "given::machines_cannot_be_made_or_removed",
            "deleted: Ok",
            GivenFlaw::Deletes,
        ),
        planted_given("given::machines_cannot_be_switched", "stopped: Ok", GivenFlaw::Stops),
        planted_given("given::machines_begin_anew_when_restarted", "booted", GivenFlaw::NeverBoots),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_flaw_of_a_backend_is_found_by_its_clause() {
    none(&missed(CLAUSES, &all()).await);
    none(&missed(GIVEN, &all_given()).await);
}

#[test]
fn every_clause_about_a_backend_has_a_flaw_that_it_finds() {
    none(&untried(CLAUSES, &all()));
    none(&untried(GIVEN, &all_given()));
}

#[tokio::test(start_paused = true)]
async fn backends_without_a_flaw_break_no_clause() {
    let sound = || Box::new(Flawed::with(Flaw::None)) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &sound).await, None);
    let given = || Box::new(Given::with(GivenFlaw::None)) as Box<dyn GivenWorld>;
    assert_eq!(first_broken(GIVEN, &given).await, None);
}
