//! What the edge serves in the end, held against what was wished for.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use common::digest::Digest;
use common::id::Generation;
use common::name::{AppName, LegacyName};
use common::port::container::Container;
use common::port::edge::Upstream;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::{Release, Source};

use super::{Wanted, Wishes};
use crate::checker::{Checker, Invariant, Violation, decoded};
use crate::world::Truth;
use crate::{load, script, user};

type Checked = Result<(), Violation>;

/// Everybody has what they wished for, and nobody what nobody wished for.
pub(in crate::checker) fn kept(
    checker: &Checker,
    truth: &Truth,
    deployments: &[Deployment],
) -> Checked {
    let wishes = &checker.wishes;
    let table = truth.edge.table().map(|table| table.routes).unwrap_or_default();
    for row in &table {
        let is_known = wishes.instances.contains_key(&row.instance);
        demand(is_known, || format!("{} is served, and nobody asked for it", row.instance))?;
    }
    for (instance, accepted) in &wishes.instances {
        let wanted = wishes.wanted(accepted, truth, checker.courses.backed_out(instance));
        let row = table.iter().find(|row| row.instance == *instance);
        let runs = row.is_some_and(|row| !row.upstreams.is_empty());
        demand(wanted.runs.is_none_or(|wanted| wanted == runs), || {
            let (is, was) = if runs { ("served", "stopped") } else { ("not served", "deployed") };
            format!("{instance} is {is}, and was {was} last")
        })?;
        let Some(row) = row.filter(|_| runs) else { continue };
        let deployment = deployments.iter().find(|one| one.instance == *instance);
        let found = Found { wishes, truth, deployment, upstreams: &row.upstreams };
        found.check(instance, &wanted)?;
    }
    Ok(())
}

/// Whom the edge serves of an instance.
struct Found<'a> {
    wishes: &'a Wishes,
    truth: &'a Truth,
    deployment: Option<&'a Deployment>,
    upstreams: &'a [Upstream],
}

impl Found<'_> {
    /// As many as were asked for, of the releases that were asked for, and a canary only where one was asked for.
    fn check(&self, instance: &LegacyName, wanted: &Wanted) -> Checked {
        let Wanted { outlook, is_certain, .. } = wanted;
        let counts = self.counts(&wanted.counts);
        let count = self.upstreams.len();
        let extra = |wanted: usize| outlook.beside.iter().map(move |one| (wanted, one.as_ref()));
        let mut sums = counts.iter().flat_map(|wanted| extra(*wanted));
        let is_right = sums.any(|(wanted, beside)| {
            wanted + beside.map_or(0, |beside| beside.replicas(wanted)) == count
        });
        demand(is_right || (!is_certain && counts.contains(&count)), || {
            let canaries = &outlook.beside;
            format!("{instance} has {count} replicas, {counts:?} were asked for, and {canaries:?}")
        })?;
        // On a node that is lost nobody knows.
        let there: Vec<Container> =
            self.upstreams.iter().filter_map(|one| self.truth.listener(one.address())).collect();
        let is_hidden = there.len() < count;
        let generations: BTreeSet<_> = there.iter().map(|one| one.generation).collect();
        let is_alone = generations.len() == 1;
        let may_be_alone = outlook.beside.contains(&None) || is_hidden;
        demand(!is_certain || !is_alone || may_be_alone, || {
            format!("the canary of {instance} is gone, and nobody asked for that")
        })?;
        for container in there {
            let is_young = !is_alone && generations.last() == Some(&container.generation);
            let allowed = if !is_certain {
                outlook.all()
            } else if is_young {
                outlook.canaries()
            } else if is_hidden {
                outlook.either()
            } else {
                outlook.served.clone()
            };
            demand(allowed.iter().any(|one| self.is_of(&container, one)), || {
                let (what, image) = (if is_young { "beside it" } else { "" }, &container.image);
                format!("{instance} serves {image} {what}, and {allowed:?} was asked for")
            })?;
        }
        Ok(())
    }

    /// The numbers of replicas that may be: any within its bounds, where they follow the load.
    fn counts(&self, asked: &BTreeSet<usize>) -> BTreeSet<usize> {
        let app = self.deployment.map(|deployment| deployment.app.clone());
        let balances = self.truth.balances.load(Ordering::Relaxed);
        if balances && app == Some(script::app(script::BALANCED)) {
            let most = usize::try_from(load::MOST).unwrap_or_default();
            return (1..=most).collect();
        }
        asked.clone()
    }

    fn is_of(&self, container: &Container, (app, _, number): &(AppName, usize, u32)) -> bool {
        if self.wishes.is_bundle(app, *number) {
            self.is_built_from(container.generation, app, *number)
        } else {
            container.image == user::image(app, *number)
        }
    }

    /// Whether what a generation of the deployment runs was made from the bundle of a release.
    fn is_built_from(&self, generation: Generation, app: &AppName, number: u32) -> bool {
        let Some(deployment) = self.deployment else { return false };
        let serving = deployment.serving.as_ref().filter(|one| one.generation == generation);
        let release = serving.map_or(deployment.release, |one| one.release);
        let path = path::release(app, release);
        let value = self.truth.store.records(&path).into_iter().next().map(|(_, value)| value);
        let source = decoded::<Release>(value.as_ref()).map(|release| release.source);
        match source {
            Some(Source::Bundle { bundle, .. }) => bundle == Digest::of(&user::bundle(app, number)),
            Some(Source::Image { .. }) | None => false,
        }
    }
}

fn demand(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(Invariant::I5NoOrphan, what())) }
}
