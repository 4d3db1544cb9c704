//! Clients of each cloud, by its usual environment.

use super::answers::Answers;
use super::crypto::Crypto;
use super::failures::{self, RETRIES, RETRY_SECONDS};
use super::http::Connector;
use super::location::{Bucket, CloudProvider};
use super::pace::{self, LONGEST_BYTES};
use super::profile::{self, RequestedProfile};
use crate::error::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A client of one bucket.
#[derive(Clone)]
pub(super) struct BucketClient {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The same, for lists a page at a time.
    pub(super) pages: Arc<dyn PaginatedListStore>,
    /// Where an upload in parts has a name that outlives this process. Azure forgets parts that
    /// nobody put together by itself, after a week.
    pub(super) multipart: Option<Arc<dyn MultipartStore>>,
    /// Whether the environment said with which keys.
    pub(super) has_keys: bool,
    /// Whether the store holds what is sent against a checksum that goes along. Else what was sent is read again.
    pub(super) has_checksums: bool,
    /// Whether the store makes an object only where none is, once it was tried.
    pub(super) keeps_others_out: Arc<OnceLock<bool>>,
}

/// As the SDKs of AWS have it, for stores that refuse these headers.
const CHECKSUMS: &str = "AWS_REQUEST_CHECKSUM_CALCULATION";
const WHEN_REQUIRED: &str = "when_required";

impl BucketClient {
    fn new(
        objects: Arc<dyn ObjectStore>,
        pages: Arc<dyn PaginatedListStore>,
        multipart: Option<Arc<dyn MultipartStore>>,
        (has_keys, has_checksums): (bool, bool),
    ) -> Self {
        Self { objects, pages, multipart, has_keys, has_checksums, keeps_others_out: Arc::default() }
    }
}

/// By whom requests are answered: by what the environment leads to, or in its place, without keys.
pub(super) type Answered = Option<Arc<dyn Answers>>;

fn retries(by: &Answered) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: if by.is_some() { 0 } else { RETRIES },
        // What is slow on purpose is tried again all the same.
        retry_timeout: Duration::from_secs(RETRY_SECONDS)
            + pace::limit().map(|pace| pace.duration(2 * LONGEST_BYTES)).unwrap_or_default(),
    }
}

/// A client of this bucket.
///
/// # Errors
/// Config: an environment that cannot work.
pub(super) fn client(cloud: CloudProvider, bucket: &Bucket, by: &Answered) -> Result<BucketClient> {
    match cloud {
        CloudProvider::S3 => s3(bucket, by),
        CloudProvider::Azure => azure(bucket, by),
        CloudProvider::Google => google(bucket, by),
    }
}

fn s3(bucket: &Bucket, by: &Answered) -> Result<BucketClient> {
    let start = match by {
        None => AmazonS3Builder::from_env(),
        Some(_) => AmazonS3Builder::new().with_region("none").with_skip_signature(true),
    };
    let asked = std::env::var(CHECKSUMS).ok().filter(|_| by.is_none());
    let mut asked = asked.map(|text| text.trim().to_ascii_lowercase());
    let mut builder = start
        .with_bucket_name(&bucket.name)
        .with_crypto_provider(Arc::new(Crypto))
        // One object at a time goes, and each answer says what became of it; some stores know nothing else.
        .with_disable_bulk_delete(true)
        .with_http_connector(Connector(by.clone()))
        .with_retry(retries(by));
    let is_set = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some_and(|value| !value.is_empty());
    let others = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::WebIdentityTokenFile,
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ];
    let mut has_keys = by.is_some() || others.into_iter().any(|key| is_set(&builder, key));
    if !has_keys {
        let profile = profile::read(&RequestedProfile::by_environment())?;
        if let Some((id, secret)) = profile.keys {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            has_keys = true;
        }
        asked = asked.or(profile.checksums);
        if let Some(token) = profile.token {
            builder = builder.with_token(token);
        }
        if let Some(region) = profile.region.filter(|_| !is_set(&builder, AmazonS3ConfigKey::Region)) {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = profile.endpoint.filter(|_| !is_set(&builder, AmazonS3ConfigKey::Endpoint)) {
            builder = builder.with_endpoint(endpoint);
        }
    }
    let has_checksums = asked.as_deref() != Some(WHEN_REQUIRED);
    if has_checksums {
        // The store holds each request, and each part, against this hash.
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    let allows = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(builder.get_config_value(&AmazonS3ConfigKey::Endpoint), allows, "AWS_ALLOW_HTTP")?;
    let store = Arc::new(builder.build().map_err(|error| failures::environment(CloudProvider::S3, error))?);
    Ok(BucketClient::new(store.clone(), store.clone(), Some(store), (has_keys, has_checksums)))
}

fn azure(bucket: &Bucket, by: &Answered) -> Result<BucketClient> {
    let start = match by {
        None => MicrosoftAzureBuilder::from_env(),
        Some(_) => MicrosoftAzureBuilder::new().with_account("none").with_skip_signature(true),
    };
    let mut builder = start
        .with_container_name(&bucket.name)
        .with_crypto_provider(Arc::new(Crypto))
        .with_http_connector(Connector(by.clone()))
        .with_retry(retries(by));
    if let Some(account) = &bucket.account {
        builder = builder.with_account(account);
    }
    let keys = [
        AzureConfigKey::AccessKey,
        AzureConfigKey::SasKey,
        AzureConfigKey::ClientSecret,
        AzureConfigKey::Token,
        AzureConfigKey::FederatedTokenFile,
        AzureConfigKey::UseAzureCli,
        AzureConfigKey::UseEmulator,
    ];
    let has_keys = by.is_some()
        || keys
            .iter()
            .any(|key| builder.get_config_value(key).is_some_and(|value| !value.is_empty() && value != "false"));
    let allows = builder.get_config_value(&AzureConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(builder.get_config_value(&AzureConfigKey::Endpoint), allows, "AZURE_ALLOW_HTTP")?;
    let store = Arc::new(builder.build().map_err(|error| failures::environment(CloudProvider::Azure, error))?);
    Ok(BucketClient::new(store.clone(), store, None, (has_keys, true)))
}

/// That an endpoint in plain text was allowed by name; the client would fail of it as if the store were away.
fn check_endpoint(endpoint: Option<String>, allows: Option<String>, variable: &str) -> Result<()> {
    let is_plain = endpoint.as_deref().is_some_and(|url| url.trim().to_ascii_lowercase().starts_with("http://"));
    if !is_plain || allows.is_some_and(|allows| allows.eq_ignore_ascii_case("true") || allows == "1") {
        return Ok(());
    }
    Err(Error::config(
        "the endpoint of the store is plain http, over which everybody on the way reads and changes what is sent",
    )
    .hint(format!("name one of https, or set {variable}=true where nobody is on the way, such as on this machine")))
}

fn google(bucket: &Bucket, by: &Answered) -> Result<BucketClient> {
    let builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&bucket.name)
        .with_crypto_provider(Arc::new(Crypto))
        .with_http_connector(Connector(by.clone()))
        .with_retry(retries(by));
    let keys =
        [GoogleConfigKey::ServiceAccount, GoogleConfigKey::ServiceAccountKey, GoogleConfigKey::ApplicationCredentials];
    let is_set = |key| builder.get_config_value(key).is_some_and(|value| !value.is_empty());
    let has_keys = by.is_some() || keys.iter().any(is_set);
    let store = Arc::new(builder.build().map_err(|error| failures::environment(CloudProvider::Google, error))?);
    Ok(BucketClient::new(store.clone(), store.clone(), Some(store), (has_keys, true)))
}
