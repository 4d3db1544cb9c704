//! The way to object stores over HTTP, where a store may answer anything.
//!
//! No redirect is followed, because the keys of a request would go along to whatever host the answer
//! names. No answer is read past a limit: the bytes that a range asked for, a page of a list, a short
//! text of an error. Nothing is inflated on the way.

use super::answers::{Answers, GivenAnswers};
use super::pace::{self, LONGEST_BYTES, Pace, PacedBody};
use super::refusals::{AskedBy, is_to_be_asked_again};
use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, LOCATION, RANGE};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A page of a list: S3 gives 1,000 names of up to 1 KiB a page, Azure 5,000.
const MAX_PAGE_BYTES: u64 = 32 << 20;
/// What an error or the answer to a write says.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// What the query of a list has (S3 and Google's XML API; Azure), and the first element of its answer. The
/// library takes any other XML for a list without objects.
const LISTS: [&str; 2] = ["list-type=2", "comp=list"];
const ROOTS: [&str; 2] = ["<ListBucketResult", "<EnumerationResults"];
const MAX_PROLOGUE_BYTES: usize = 1024;

/// Of the client: to connect; of one request with its answer (a part of 8 MiB); between two pieces
/// of an answer.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(180);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes clients that keep to the module's text. Of the environment they take whether plain HTTP is
/// allowed, and a proxy. What answers in place of the network is held to the same.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Option<Arc<dyn Answers>>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(answers) = &self.0 {
            return Ok(HttpClient::new(Guarded(HttpClient::new(GivenAnswers(Arc::clone(answers))))));
        }
        let is_on = |key| options.get_config_value(&key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let failed = |error: reqwest::Error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) };
        let mut builder = reqwest::ClientBuilder::new()
            .user_agent(concat!("blobdelta/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!is_on(ClientConfigKey::AllowHttp))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .read_timeout(READ_TIMEOUT);
        if let Some(url) = options.get_config_value(&ClientConfigKey::ProxyUrl) {
            let excludes = options.get_config_value(&ClientConfigKey::ProxyExcludes);
            let excludes = excludes.as_deref().and_then(reqwest::NoProxy::from_string);
            builder = builder.proxy(reqwest::Proxy::all(url).map_err(failed)?.no_proxy(excludes));
        }
        let Some(pace) = pace::limit() else {
            return Ok(HttpClient::new(Guarded(HttpClient::new(builder.build().map_err(failed)?))));
        };
        // As many parts as go at a time, each of them at its share of the limit, and as long again.
        let longest = REQUEST + pace.duration(2 * LONGEST_BYTES);
        let client = builder.timeout(longest).read_timeout(longest).build().map_err(failed)?;
        Ok(HttpClient::new(Guarded(HttpClient::new(PacedClient { client, pace }))))
    }
}

/// The network, at no more than so many bytes a second.
#[derive(Debug)]
struct PacedClient {
    client: reqwest::Client,
    pace: &'static Pace,
}

#[async_trait]
impl HttpService for PacedClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = request.map(|body| reqwest::Body::wrap(PacedBody::new(body, self.pace)));
        let request = reqwest::Request::try_from(request).map_err(network)?;
        let answer = self.client.execute(request).await.map_err(network)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = PacedBody::new(reqwest::Body::from(answer), self.pace).map_err(network);
        let mut response = HttpResponse::new(HttpResponseBody::new(body));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

/// As the library tells what may be tried again; it keeps its own way of telling to itself.
fn network(error: reqwest::Error) -> HttpError {
    let kind = match (error.is_timeout(), error.is_connect(), error.is_decode() || error.is_builder()) {
        (true, ..) => HttpErrorKind::Timeout,
        (_, true, _) => HttpErrorKind::Connect,
        (.., true) => HttpErrorKind::Decode,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error.without_url())
}

#[derive(Debug)]
struct Guarded(HttpClient);

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (asked, asked_by) = (range_bytes(request.headers()), AskedBy::of(&request));
        let is_list = request.uri().query().is_some_and(|query| LISTS.iter().any(|list| query.contains(list)));
        let response = self.0.execute(request).await?;
        let (parts, body) = response.into_parts();
        if parts.status.is_redirection() && parts.headers.contains_key(LOCATION) {
            let host = parts.headers[LOCATION].to_str().ok().and_then(|url| url.parse::<reqwest::Url>().ok());
            let host = host.and_then(|url| url.host_str().map(str::to_owned));
            return Err(refused(format!(
                "the store answers with a redirect to {:.100?}, which is not followed; name the right endpoint or region",
                host.unwrap_or_default()
            )));
        }
        let most = match asked {
            Some(bytes) if parts.status.is_success() => bytes,
            None if parts.status.is_success() => MAX_PAGE_BYTES,
            _ => MAX_TEXT_BYTES,
        };
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        // A HEAD says how long the object is, and sends nothing.
        let announced = length.filter(|_| !body.is_end_stream());
        if announced.is_some_and(|bytes| bytes > most) {
            return Err(too_long(most));
        }
        let limit = usize::try_from(most).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit).map_err(move |error| match error.downcast::<HttpError>() {
            Ok(error) => *error,
            Err(error) if error.is::<LengthLimitError>() => too_long(most),
            Err(error) => HttpError::new_boxed(HttpErrorKind::Unknown, error),
        });
        let body = HttpResponseBody::new(body);
        if parts.status.is_client_error() || parts.status == StatusCode::NOT_IMPLEMENTED {
            return refused_for(HttpResponse::from_parts(parts, body), &asked_by).await;
        }
        if !is_list || !parts.status.is_success() {
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let page = body.bytes().await?;
        let start = String::from_utf8_lossy(&page[..page.len().min(MAX_PROLOGUE_BYTES)]);
        if !ROOTS.iter().any(|root| start.contains(root)) {
            return Err(refused(
                "the store's answer is no list: is an object store there, and is the endpoint its own?".into(),
            ));
        }
        Ok(HttpResponse::from_parts(parts, in_memory(page)))
    }
}

/// An answer that says no: what for, where that is known; and one that says to ask again, as such.
async fn refused_for(response: HttpResponse, asked_by: &AskedBy) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = response.into_parts();
    let body = body.bytes().await?;
    let text = String::from_utf8_lossy(&body);
    if let Some(refusal) = asked_by.refusal(parts.status, &parts.headers, &text, SystemTime::now()) {
        return Err(HttpError::new(HttpErrorKind::Decode, refusal));
    }
    if is_to_be_asked_again(parts.status, &text) {
        parts.status = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(HttpResponse::from_parts(parts, in_memory(body)))
}

fn in_memory(body: Bytes) -> HttpResponseBody {
    HttpResponseBody::new(Full::new(body).map_err(|never| match never {}))
}

/// The bytes that `Range: bytes=FROM-TO` asks for.
fn range_bytes(headers: &HeaderMap) -> Option<u64> {
    let (from, to) = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    to.checked_sub(from)?.checked_add(1)
}

fn too_long(most: u64) -> HttpError {
    refused(format!("the store's answer is longer than the {most} bytes that it may have; it was not read"))
}

/// An answer that is not tried again.
fn refused(what: String) -> HttpError {
    HttpError::new_boxed(HttpErrorKind::Decode, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_much_may_come() {
        let bytes = |text: &'static str| range_bytes(&HeaderMap::from_iter([(RANGE, text.parse().unwrap())]));
        assert_eq!(bytes("bytes=10-19"), Some(10));
        assert_eq!((bytes("bytes=10-"), bytes("bytes=-5"), bytes("bytes=9-1")), (None, None, None));
        assert_eq!(bytes("bytes=0-18446744073709551615"), None);
    }
}
