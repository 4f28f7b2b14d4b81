//! The blobs.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs::{ByteStream, Error};
use testkit::MemoryBlobs;

use crate::call::CallKind;
use crate::fault::Point;
use crate::gate::{Call, Gate, Lost};
use crate::step::Step;

#[derive(Debug)]
pub(crate) struct SimBlobs {
    gate: Gate,
}

impl SimBlobs {
    pub(crate) fn new(gate: Gate) -> Self {
        SimBlobs { gate }
    }

    /// What is to be kept is in the staging folder by now.
    async fn staged(&self) {
        let (world, life) = (&self.gate.world, &self.gate.life);
        let step = Some(Step::StageUpload);
        if world.springs(life, CallKind::BlobsPut, step, Point::After) {
            self.gate.alive().await;
        }
    }

    fn inner(&self) -> &MemoryBlobs {
        &self.gate.world.truth.blobs
    }
}

fn lost(_: Lost) -> Error {
    Error::Unavailable("simulated".into())
}

#[async_trait]
impl Blobs for SimBlobs {
    async fn put_file(&self, digest: &Digest, file: &Path) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("keep the file of {digest}"));
        self.staged().await;
        let call = Call { kind: CallKind::BlobsPut, what, step: &|| Some(Step::PublishBlob) };
        let (blobs, digest, file) = (self.inner().clone(), digest.clone(), file.to_owned());
        let body = move |_| async move { blobs.put_file(&digest, &file).await };
        self.gate.order(call, lost, body).await
    }

    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let what = self.gate.world.essence(format_args!("keep {} bytes", bytes.len()));
        let call = Call { kind: CallKind::BlobsPut, what, step: &|| Some(Step::PublishBlob) };
        let blobs = self.inner().clone();
        let body = move |_| async move { blobs.put(bytes).await };
        self.gate.order(call, lost, body).await
    }

    async fn get(&self, digest: &Digest) -> Result<(u64, ByteStream), Error> {
        let what = self.gate.world.essence(format_args!("fetch {digest}"));
        self.gate.ask(CallKind::BlobsGet, what, lost, self.inner().get(digest)).await
    }

    async fn list(&self) -> Result<Vec<Digest>, Error> {
        let what = self.gate.world.essence(format_args!("list blobs"));
        self.gate.ask(CallKind::BlobsGet, what, lost, self.inner().list()).await
    }

    async fn delete(&self, digest: &Digest) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("delete {digest}"));
        let call = Call { kind: CallKind::BlobsPut, what, step: &|| None };
        let (blobs, digest) = (self.inner().clone(), digest.clone());
        let body = move |_| async move { blobs.delete(&digest).await };
        self.gate.order(call, lost, body).await
    }
}
