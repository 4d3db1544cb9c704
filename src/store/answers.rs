//! Answers that are given in place of the network's: what tests, and programs that fuzz, let a store say.

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full};
use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use std::fmt::Debug;
use std::sync::Arc;

/// One answer of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// From 100 to 999; anything else counts as 500.
    pub status: u16,
    /// Names and values; what is none of HTTP is left out.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// What follows them.
    pub body: Vec<u8>,
}

/// Answers requests as a store would, on the thread of requests.
pub trait Answers: Debug + Send + Sync + 'static {
    /// The answer to a request with this method and URL.
    fn answer(&self, method: &str, url: &str) -> HttpAnswer;
}

/// A client whose answers are given.
#[derive(Debug)]
pub(super) struct GivenAnswers(pub(super) Arc<dyn Answers>);

#[async_trait]
impl HttpService for GivenAnswers {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let HttpAnswer { status, headers, body } = self.0.answer(request.method().as_str(), &request.uri().to_string());
        let body = Full::new(body.into()).map_err(|never| match never {});
        let mut response = HttpResponse::new(HttpResponseBody::new(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) {
                response.headers_mut().append(name, value);
            }
        }
        Ok(response)
    }
}
