//! The container engine: is it there, may it be used, is it new enough, has it room, is the name of the
//! edge free; and does it run the cluster, which has the same ports.

use std::path::Path;

use adapters::docker::{Running, Survey};
use common::port::container::label;

use super::check::Check;
use super::observe::Observed;
use super::settings::Settings;
use super::{folder, machine};
use crate::failure::{Failure, Obstacle};

/// What the platform's adapter speaks with.
const OLDEST_API: Version = Version(1, 41);
const OLDEST_ENGINE: Version = Version(20, 10);
/// Below the first, builds fail half way; below the second it is time to clean up.
const FULL: u64 = 512 * machine::MIB;
const SCARCE: u64 = 2048 * machine::MIB;
/// How the platform's edge is known.
const EDGE: (&str, &str) = (label::PLATFORM, "edge");
/// How the containers of `make cluster` are known.
const PROJECT: (&str, &str) = ("com.docker.compose.project", "avishkar");

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

/// What can be said of an engine; of one that does not answer, only that.
pub(super) fn checks(settings: &Settings, observed: &Observed) -> Vec<Check> {
    let survey = match &observed.engine {
        Ok(survey) => survey,
        Err(failure) => return vec![failure.clone()],
    };
    let mut checks = vec![answers(&settings.socket, survey), cluster(survey)];
    checks.extend(edge(survey));
    if let Some(free) = observed.engine_room {
        checks.push(room(survey, free));
    }
    checks
}

/// An engine that cannot be used.
pub(super) fn unusable(failure: Failure) -> Check {
    Check::failing("docker", failure)
}

/// Whether the platform's edge runs, which others that start the platform leave running.
pub(super) fn runs_edge(survey: Option<&Survey>) -> bool {
    survey.is_some_and(|survey| survey.running.iter().any(|container| has(container, EDGE)))
}

fn answers(socket: &Path, survey: &Survey) -> Check {
    let Survey { version, api_version, .. } = survey;
    // What calls itself by something that is no number, as a build of one's own, is known by its API.
    let is_old = parse(version).is_some_and(|version| version < OLDEST_ENGINE)
        || parse(api_version).is_none_or(|version| version < OLDEST_API);
    if is_old {
        let sentence = format!(
            "the engine {version} speaks API {api_version}, and 1.41 of engine 20.10 is needed"
        );
        let advice = "install a newer Docker; containers and images stay";
        return Check::failing("docker", Obstacle::DockerTooOld.failure(sentence, advice));
    }
    let sentence = format!("engine {version} answers at {}", socket.display());
    Check::fine("docker", sentence)
}

/// The first two numbers of a version such as `20.10.24+dfsg1`.
fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|part| part.parse().ok());
    Some(Version(numbers.next()??, numbers.next()??))
}

fn cluster(survey: &Survey) -> Check {
    let parts = survey.running.iter().filter(|container| has(container, PROJECT)).count();
    if parts == 0 {
        return Check::fine("cluster", "no cluster of `make cluster` runs on this machine");
    }
    let sentence =
        format!("the cluster of `make cluster` runs on this machine: {parts} containers");
    let advice = "use it, or remove it with `make down`; then try again";
    Check::failing("cluster", Obstacle::ClusterRuns.failure(sentence, advice))
}

/// Only said where it fails.
fn edge(survey: &Survey) -> Option<Check> {
    let name = survey.edge_name_taken.as_ref()?;
    let sentence = format!("the name {name} belongs to a container that is not the platform's");
    let advice = format!("rename it or remove it: docker rm {name}");
    Some(Check::failing("edge", Obstacle::EdgeNameTaken.failure(sentence, advice)))
}

fn has(container: &Running, (name, value): (&str, &str)) -> bool {
    container.labels.get(name).is_some_and(|found| found == value)
}

fn room(survey: &Survey, free: u64) -> Check {
    let name = "docker disk";
    let sentence =
        format!("{} are free on the disk of {}", folder::size(free), survey.root.display());
    let advice = "make room: `docker system df` shows what takes it, `docker system prune` removes what nothing uses";
    if free < FULL {
        Check::failing(name, Obstacle::DockerDiskFull.failure(sentence, advice))
    } else if free < SCARCE {
        Check::warning(name, sentence, advice)
    } else {
        Check::fine(name, sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;
    use std::collections::BTreeMap;

    fn survey(version: &str, api_version: &str) -> Survey {
        Survey {
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            root: "/var/lib/docker".into(),
            time: None,
            running: Vec::new(),
            edge_name_taken: None,
        }
    }

    fn container(name: &str, value: &str) -> Running {
        let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Running { name: "one".to_owned(), labels }
    }

    #[test]
    fn an_engine_older_than_20_10_or_api_1_41_is_too_old() {
        let socket = Path::new("/run/docker.sock");
        let too_old = Verdict::Failure(Obstacle::DockerTooOld);
        let cases = [
            ("20.10.24+dfsg1", "1.41", Verdict::Fine),
            ("20.10", "1.41", Verdict::Fine),
            ("28.0.4", "1.48", Verdict::Fine),
            ("100.0.0", "2.0", Verdict::Fine),
            ("library-import", "1.45", Verdict::Fine),
            ("19.03.15", "1.40", too_old),
            ("20.9.1", "1.41", too_old),
            ("20.10.24", "1.40", too_old),
            ("4.3.1", "1.41", too_old),
            ("library-import", "", too_old),
        ];
        for (version, api_version, verdict) in cases {
            let check = answers(socket, &survey(version, api_version));
            assert_eq!(check.verdict, verdict, "{version} {api_version}");
            assert_eq!(check.advice.is_some(), verdict != Verdict::Fine);
        }
    }

    #[test]
    fn the_cluster_is_known_by_its_project() {
        let mut survey = survey("28.0.4", "1.48");
        assert_eq!(cluster(&survey).verdict, Verdict::Fine);
        survey.running.push(container("com.docker.compose.project", "shop"));
        survey.running.push(container(label::PLATFORM, "app"));
        assert_eq!(cluster(&survey).verdict, Verdict::Fine);
        assert!(!runs_edge(Some(&survey)));
        survey.running.push(container(PROJECT.0, PROJECT.1));
        assert_eq!(cluster(&survey).verdict, Verdict::Failure(Obstacle::ClusterRuns));
        survey.running.push(container(EDGE.0, EDGE.1));
        assert!(runs_edge(Some(&survey)));
        assert!(!runs_edge(None));
    }

    #[test]
    fn somebody_elses_container_with_the_name_of_the_edge_is_named() {
        let mut survey = survey("28.0.4", "1.48");
        assert_eq!(edge(&survey), None);
        survey.edge_name_taken = Some("avishkar-edge".to_owned());
        let check = edge(&survey).unwrap();
        assert_eq!(check.verdict, Verdict::Failure(Obstacle::EdgeNameTaken));
        let advice = check.advice.unwrap();
        assert_eq!(advice, "rename it or remove it: docker rm avishkar-edge");
    }

    #[test]
    fn a_disk_that_fills_is_warned_of_before_it_fails() {
        let verdict = |free| room(&survey("28.0.4", "1.48"), free).verdict;
        let full = Verdict::Failure(Obstacle::DockerDiskFull);
        assert_eq!(
            [FULL - 1, FULL, SCARCE - 1, SCARCE].map(verdict),
            [full, Verdict::Warning, Verdict::Warning, Verdict::Fine]
        );
    }
}
