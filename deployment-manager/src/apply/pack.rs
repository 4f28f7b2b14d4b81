//! The build context of a release, made on disk: the stored bundle is fetched into one file and packed
//! into another. Neither has a name, so that nothing is left behind by a crash.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Seek as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use chassis::blocking;
use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::port::blobs;
use common::record::release::BuildPlan;
use futures::TryStreamExt as _;

use super::{Effect, Round};
use crate::domain::change::Change;
use crate::domain::context::{self, Wanted};
use crate::recipe::Recipe;

/// The largest bundle that is taken, in bytes: what an upload may have, and some.
const MOST_BUNDLE: u64 = 128 * 1024 * 1024;
/// How long packing may take.
const WITHIN: Duration = Duration::from_mins(5);
/// How long writing a piece of a bundle may take.
const PIECE_WITHIN: Duration = Duration::from_mins(1);

/// The tar archive, at its beginning.
pub(super) async fn pack(
    round: &Round<'_>,
    bundle: &Digest,
    plan: &BuildPlan,
    recipe: &Recipe,
) -> Result<File, Effect> {
    let config = &round.shared.config;
    let bundle = BufReader::new(fetch(round, bundle).await?);
    let context = scratch(round).map_err(|err| unwritable(&err))?;
    let wanted = Wanted {
        root: plan.root.clone(),
        dockerfile: recipe.dockerfile.clone(),
        most: config.most_unpacked,
    };
    let work = move |cancelled: &blocking::Cancelled| {
        let mut packed = context::pack(bundle, &wanted, context, &|| cancelled.is_set())?;
        packed.rewind().map_err(context::Error::Content)?;
        Ok(packed)
    };
    match blocking::run(WITHIN, work).await {
        Ok(packed) => packed.map_err(|err| unpackable(&err)),
        Err(err) => Err(hindered(FailureCode::Internal, &err)),
    }
}

async fn fetch(round: &Round<'_>, bundle: &Digest) -> Result<File, Effect> {
    let too_large = || {
        let message = "the stored bundle is larger than an upload may be";
        given_up(Failure::new(FailureCode::BundleUnavailable, message))
    };
    let blobs = round.shared.ports.blobs.as_ref();
    let (size, mut stream) = blobs.get(bundle).await.map_err(|err| unfetched(&err))?;
    if size > MOST_BUNDLE {
        return Err(too_large());
    }
    let mut file = scratch(round).map_err(|err| unwritable(&err))?;
    let mut left = MOST_BUNDLE;
    while let Some(piece) = stream.try_next().await.map_err(|err| unfetched(&err))? {
        left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
        file = append(file, piece).await?;
    }
    file.rewind().map_err(|err| unwritable(&err))?;
    Ok(file)
}

async fn append(mut file: File, piece: Bytes) -> Result<File, Effect> {
    match blocking::run(PIECE_WITHIN, move |_| file.write_all(&piece).map(|()| file)).await {
        Ok(written) => written.map_err(|err| unwritable(&err)),
        Err(err) => Err(hindered(FailureCode::Internal, &err)),
    }
}

/// A file without a name, gone with its handle.
fn scratch(round: &Round<'_>) -> io::Result<File> {
    let folder = &round.shared.config.build_folder;
    fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder)
}

fn given_up(failure: Failure) -> Effect {
    Effect::of(Change::GivenUp { failure })
}

fn hindered(code: FailureCode, err: &(dyn Error + 'static)) -> Effect {
    tracing::warn!(error = err, "a build context cannot be made for now");
    Effect::hindered(Failure::new(code, "the deployment manager cannot make the build context"))
}

fn unwritable(err: &io::Error) -> Effect {
    hindered(
        if is_full(err) { FailureCode::InsufficientStorage } else { FailureCode::Internal },
        err,
    )
}

/// What is packed was checked when it was uploaded: only the disk may do better later.
fn unpackable(err: &context::Error) -> Effect {
    if let context::Error::Content(source) = err
        && is_full(source)
    {
        return unwritable(source);
    }
    given_up(Failure::new(FailureCode::BuildFailed, err.to_string()))
}

fn is_full(err: &io::Error) -> bool {
    matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn unfetched(err: &blobs::Error) -> Effect {
    let failure = Failure::new(FailureCode::BundleUnavailable, err.to_string());
    if err.is_retryable() { Effect::hindered(failure) } else { given_up(failure) }
}
