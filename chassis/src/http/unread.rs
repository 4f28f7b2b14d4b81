//! What a handler leaves unread of a chunked body.
//!
//! To use the connection again, the server reads on to the end of such a body as soon as nobody holds it any
//! more: for ever, if it has none. Here the body is held until the answer is sent; then the server closes
//! the connection instead, as it does with bodies that say how long they are.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures::{Stream as _, stream};

/// Ends connections whose chunked body was not read to its end.
pub(super) async fn close<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.headers().contains_key(TRANSFER_ENCODING) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let body = Rc::new(RefCell::new(request.take_payload()));
    let read = Rc::clone(&body);
    let chunks = stream::poll_fn(move |cx| Pin::new(&mut *read.borrow_mut()).poll_next(cx));
    request.set_payload(Payload::Stream { payload: Box::pin(chunks) });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, answer| {
        let answer = answer.boxed();
        BoxBody::new(Answer { answer, _request: body })
    }))
}

/// An answer that holds the body of its request.
struct Answer {
    answer: BoxBody,
    _request: Rc<RefCell<Payload>>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().answer).poll_next(cx)
    }
}
