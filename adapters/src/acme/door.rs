//! Our HTTP client, as instant-acme wants one. It notes what that does not tell: when the authority may be asked again, and
//! that it has nothing at a URL.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::fmt::rfc2822;
use reqwest::{Body, Client};

/// What the last answer said besides its body.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    status: StatusCode,
    wait: Option<Duration>,
}

/// One conversation with an authority.
#[derive(Clone)]
pub(super) struct Door {
    client: Client,
    told: Arc<Mutex<Told>>,
}

impl Door {
    pub(super) fn new(client: Client) -> Self {
        Door { client, told: Arc::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last answer said about asking again.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.told().wait
    }

    /// Whether the last answer was that there is nothing.
    pub(super) fn found_nothing(&self) -> bool {
        self.told().status == StatusCode::NOT_FOUND
    }
}

impl HttpClient for Door {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let door = self.clone();
        Box::pin(async move {
            let other = |err: reqwest::Error| Error::Other(err.into());
            let request = request.map(Body::wrap).try_into().map_err(other)?;
            let response: Response<Body> =
                door.client.execute(request).await.map_err(other)?.into();
            *door.told() = Told { status: response.status(), wait: retry_after(&response) };
            Ok(BytesResponse::from(response))
        })
    }
}

/// In seconds, or a moment by the authority's own clock.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let header = |name| response.headers().get(name)?.to_str().ok().map(str::trim);
    let value = header(RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |text| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let wait = moment(value)?.duration_since(moment(header(DATE)?)?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 12:00:00 GMT";

    #[test]
    fn seconds_or_a_moment_to_wait_for_are_read_and_anything_else_is_none() {
        for (value, seconds) in [
            ("3600", Some(3600)),
            (" 1 ", Some(1)),
            ("Sun, 22 Nov 2026 12:01:30 GMT", Some(90)),
            ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let response = Response::builder().header(DATE, NOW).header(RETRY_AFTER, value);
            let wait = retry_after(&response.body(()).unwrap());
            assert_eq!(wait, seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&Response::new(())), None);
        let undated = Response::builder().header(RETRY_AFTER, NOW).body(()).unwrap();
        assert_eq!(retry_after(&undated), None);
    }
}
