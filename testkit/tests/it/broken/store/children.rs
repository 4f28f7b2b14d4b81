//! Flaws of the names below a record.

use async_trait::async_trait;
use common::port::Store as _;
use common::port::store::{Error, Path};
use testkit::contract::store::World;

use super::super::Planted;
use super::flaw::{Client, Flaw};
use super::planted as plant;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let below = "children::are_the_names_directly_below";
    let others = "the names, and no others";
    vec![
        plant(below, others, || ListsTheWholeTree),
        plant(below, others, || ListsNeighbours),
        plant(below, others, || {
            Lists(|path, names| names.iter().map(|name| format!("{path}/{name}")).collect())
        }),
        plant("children::are_sorted", "left == right", || {
            Lists(|_, mut names| {
                names.sort_by_key(|name| name.to_lowercase());
                names
            })
        }),
        plant("children::are_5000_at_most", "so many can be listed", || {
            Lists(|_, mut names| {
                names.truncate(1000);
                names
            })
        }),
    ]
}

/// Makes something else of the names.
#[derive(Debug)]
struct Lists(fn(&Path, Vec<String>) -> Vec<String>);

#[async_trait]
impl Flaw for Lists {
    async fn children(&self, client: &Client, path: &Path) -> Result<Vec<String>, Error> {
        Ok((self.0)(path, client.store.children(path).await?))
    }
}

#[derive(Debug)]
struct ListsTheWholeTree;

#[async_trait]
impl Flaw for ListsTheWholeTree {
    async fn children(&self, client: &Client, path: &Path) -> Result<Vec<String>, Error> {
        let below = client.tree.records(path).into_iter().map(|(path, _)| path);
        Ok(below.filter(|below| below != path).map(|below| below.name().to_owned()).collect())
    }
}

/// Takes every path that begins alike for one below.
#[derive(Debug)]
struct ListsNeighbours;

#[async_trait]
impl Flaw for ListsNeighbours {
    async fn children(&self, client: &Client, path: &Path) -> Result<Vec<String>, Error> {
        let mut names = client.store.children(path).await?;
        let beside: Path = format!("{path}-beside").parse().unwrap();
        let found = client.store.get(&beside).await?;
        names.extend(found.map(|_| "-beside".to_owned()));
        Ok(names)
    }
}
