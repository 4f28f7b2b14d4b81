//! Broken shares: one in memory, and one flaw before it.

mod flaw;
mod share;

use testkit::contract::shares::{CLAUSES, World};
use testkit::shares::Trial;

use super::{Planted, first_broken, missed, none, untried};
use flaw::{Flaw, Flawed};

fn planted(clause: &'static str, saying: &'static str, flaw: Flaw) -> Planted<dyn World> {
    let world = move || Box::new(Flawed::with(flaw)) as Box<dyn World>;
    Planted { flaw: format!("{flaw:?}"), clause, saying, world: Box::new(world) }
}

fn all() -> Vec<Planted<dyn World>> {
    let version = "listing::has_another_version_for_another_content";
    let changed = "reading::refuses_what_changed_since_it_was_listed";
    let chunks = "reading::gives_the_bytes_in_chunks";
    let hidden = "listing::leaves_out_what_begins_with_a_dot";
    vec![
        planted("entry::is_for_those_whom_the_share_knows", "not let in", Flaw::LetsAnybodyIn),
        planted("entry::is_for_those_whom_the_share_knows", "it is about", Flaw::BlamesTheWay),
        planted("entry::shows_no_secret", "a secret is shown", Flaw::ShowsItsSecret),
        planted("listing::says_every_file_at_any_depth", "every file", Flaw::StaysAtTheTop),
        planted("listing::says_every_file_at_any_depth", "every file", Flaw::DoesNotSort),
        planted(hidden, "what counts", Flaw::ShowsTheHidden),
        planted(hidden, "only hidden files", Flaw::ListsNothing),
        planted(
            "listing::knows_no_folder_without_files",
            "is no folder",
            Flaw::TakesFilesForFolders,
        ),
        planted("listing::tells_folders_apart", "its own files", Flaw::ConfusesFolders),
        planted(version, "the same until", Flaw::SaysAnotherVersionEachTime),
        planted(version, "another version", Flaw::KeepsItsVersion),
        planted("listing::is_bounded", "many", Flaw::KnowsNoBounds),
        planted("listing::refuses_names_that_lead_elsewhere", "is taken", Flaw::TidiesNames),
        planted(chunks, "all of its", Flaw::CutsFiles),
        planted(chunks, "too large", Flaw::GivesAllAtOnce),
        planted(changed, "other 1000 bytes", Flaw::GivesWhatIsThere),
        planted("reading::never_mixes_two_contents", "what was listed", Flaw::MixesContents),
        planted("context::is_the_same_for_the_same_files", "is made", Flaw::ConfusesReaders),
        planted("context::is_another_for_other_files", "other bytes", Flaw::RemembersFiles),
        planted("context::fails_where_a_file_is_refused", "bounded", Flaw::TakesOneOfAnySize),
    ]
}

#[tokio::test]
async fn every_flaw_of_a_share_is_found_by_its_clause() {
    none(&missed(CLAUSES, &all()).await);
}

#[test]
fn every_clause_about_a_share_has_a_flaw_that_it_finds() {
    none(&untried(CLAUSES, &all()));
}

#[tokio::test]
async fn shares_without_a_flaw_break_no_clause() {
    let sound = || Box::new(Trial::begin()) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &sound).await, None);
    let flawless = || Box::new(Flawed::with(Flaw::None)) as Box<dyn World>;
    assert_eq!(first_broken(CLAUSES, &flawless).await, None);
}
