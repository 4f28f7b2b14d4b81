//! A careless ear: a node that says nothing is taken to be as those are that do.

use std::time::Duration;

use common::name::ContainerName;
use common::port::nodes::{Error, Sample, SampleStream};
use futures::{StreamExt as _, stream};

use crate::gate::Gate;
use crate::plant::Plant;

/// After so long a node is silent, and is spoken for as often.
const SILENT_AFTER: Duration = Duration::from_millis(700);
/// How often a node is spoken for before its stream ends.
const SPOKEN_FOR: u32 = 20;

/// What is heard of a node, and the last sample that it sent.
struct Ear {
    gate: Gate,
    heard: SampleStream,
    last: Option<Sample>,
    spoken: u32,
}

/// Samples of a node, also while it is silent.
pub(in crate::port) fn spoken_for(gate: &Gate, heard: SampleStream) -> SampleStream {
    if !gate.world.has(Plant::SilenceIsConsent) {
        return heard;
    }
    let ear = Ear { gate: gate.clone(), heard, last: None, spoken: 0 };
    stream::unfold(ear, Ear::next).boxed()
}

impl Ear {
    async fn next(mut self) -> Option<(Result<Sample, Error>, Self)> {
        while self.spoken < SPOKEN_FOR {
            let silence = self.gate.world.stage.sleep(SILENT_AFTER);
            let heard = tokio::select! {
                biased;
                heard = self.heard.next() => Some(heard),
                () = silence => None,
            };
            match heard {
                Some(Some(Ok(sample))) => {
                    self.remember(&sample);
                    (self.last, self.spoken) = (Some(sample.clone()), 0);
                    return Some((Ok(sample), self));
                }
                // Nobody is told of the end.
                Some(Some(Err(_)) | None) => self.heard = stream::pending().boxed(),
                None => {
                    self.gate.alive().await;
                    self.spoken += 1;
                    if let Some(sample) = self.guess() {
                        return Some((Ok(sample), self));
                    }
                }
            }
        }
        None
    }

    fn remember(&self, sample: &Sample) {
        let mut mischief = self.gate.world.mischief();
        for one in &sample.containers {
            if let Some(measured) = one.measured {
                mischief.measured.insert(of_instance(&one.name).to_owned(), measured);
            }
        }
    }

    /// The last sample, with what another replica took last.
    fn guess(&self) -> Option<Sample> {
        let mut sample = self.last.clone()?;
        let mischief = self.gate.world.mischief();
        for one in &mut sample.containers {
            if let Some(measured) = mischief.measured.get(of_instance(&one.name)) {
                one.measured = Some(*measured);
            }
        }
        Some(sample)
    }
}

/// Replicas of one instance are called the same, but for their number.
fn of_instance(name: &ContainerName) -> &str {
    name.as_str().trim_end_matches(|one: char| one.is_ascii_digit())
}
