//! Clients of each cloud, by its usual environment.

use super::answers::Answers;
use super::crypto::Crypto;
use super::failures::{self, RETRIES, RETRY_SECONDS};
use super::http::Connector;
use super::location::{Bucket, CloudProvider};
use super::profile::{self, RequestedProfile};
use crate::error::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use std::sync::Arc;
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
        retry_timeout: Duration::from_secs(RETRY_SECONDS),
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
    let mut builder = start
        .with_bucket_name(&bucket.name)
        .with_crypto_provider(Arc::new(Crypto))
        // The store holds each request, and each part, against this hash.
        .with_checksum_algorithm(Checksum::SHA256)
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
    let allows = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    check_endpoint(builder.get_config_value(&AmazonS3ConfigKey::Endpoint), allows, "AWS_ALLOW_HTTP")?;
    let store = Arc::new(builder.build().map_err(|error| failures::environment(CloudProvider::S3, error))?);
    Ok(BucketClient { objects: store.clone(), pages: store.clone(), multipart: Some(store), has_keys })
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
    Ok(BucketClient { objects: store.clone(), pages: store, multipart: None, has_keys })
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
    Ok(BucketClient { objects: store.clone(), pages: store.clone(), multipart: Some(store), has_keys })
}
