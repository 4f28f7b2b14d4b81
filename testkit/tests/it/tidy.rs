//! Tidy: what every file of the repository keeps. Reads the tree as text; never builds or starts anything.
//!
//! Each rule is a function from a [`tree::Tree`] to its offences, so that it is tried on the real
//! tree and on a planted one. All offences are collected before a test fails.

mod crates;
mod documents;
mod error_pages;
mod features;
mod glossary;
mod hygiene;
mod rust;
mod sources;
mod tree;

/// Fails with every offence, one a line.
fn none(offences: &[String]) {
    assert!(offences.is_empty(), "{} offences:\n  {}", offences.len(), offences.join("\n  "));
}
