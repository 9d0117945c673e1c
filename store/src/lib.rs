//! Object stores as places for a log: `s3://bucket/prefix`, and the same for Google Cloud Storage and Azure.
//!
//! URL and environment → [`Store`]: files in ([`Store::upload`]), files out ([`Store::list`], [`Store::download`]),
//! errors in one line each. Nothing here knows what the files hold. Retrying is the caller's: a request is tried twice.

mod error;
mod transfer;

use std::{fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    path::Path,
};
use url::{Host, Url};

pub use error::StoreError;
pub use transfer::{Stored, Uploaded};

/// Within this time a connection must be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Within this time a request, which moves one part at most, must be done.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// A prefix of a bucket.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// As the user wrote it, without a slash at the end.
    url: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Whether a text is a place in an object store and not a folder.
pub fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// The bucket and the prefix a URL names, `bucket/prefix`, for a folder's name.
///
/// # Errors
/// The URL is none of a store we know.
pub fn check(url: &str) -> Result<String, StoreError> {
    let (parsed, scheme, prefix) = parse(url)?;
    if matches!(scheme, ObjectStoreScheme::AmazonS3 | ObjectStoreScheme::GoogleCloudStorage)
        && !parsed.username().is_empty()
    {
        return Err(StoreError::url(
            url,
            "keep credentials out of the URL: they belong into the environment",
        ));
    }
    let bucket = parsed.host_str().unwrap_or_default();
    Ok(format!("{bucket}/{prefix}").trim_end_matches('/').to_owned())
}

fn parse(url: &str) -> Result<(Url, ObjectStoreScheme, Path), StoreError> {
    let known = "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
    let parsed = Url::parse(url).map_err(|error| StoreError::url(url, format!("{error}; {known}")))?;
    let (scheme, prefix) =
        ObjectStoreScheme::parse(&parsed).map_err(|_unknown| StoreError::url(url, known.to_owned()))?;
    match scheme {
        ObjectStoreScheme::AmazonS3
        | ObjectStoreScheme::GoogleCloudStorage
        | ObjectStoreScheme::MicrosoftAzure => Ok((parsed, scheme, prefix)),
        _ => Err(StoreError::url(url, known.to_owned())),
    }
}

impl Store {
    /// The store of a URL, with credentials and endpoint from the environment, as the stores' own tools take them:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` …, `GOOGLE_…`, `AZURE_…`.
    /// Nothing is asked of the network yet.
    ///
    /// # Errors
    /// The URL is none, or the environment does not make a store.
    pub fn from_env(url: &str) -> Result<Self, StoreError> {
        Self::new(url, std::env::vars())
    }

    /// The store of a URL, with these variables.
    ///
    /// # Errors
    /// As for [`from_env`](Self::from_env).
    pub fn new(url: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, StoreError> {
        check(url)?;
        let (_, scheme, prefix) = parse(url)?;
        // Empty is unset, as a shell script has it.
        let variables: Vec<_> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let named = |start: &'static str| {
            let named = variables.iter().filter(move |(name, _)| name.starts_with(start));
            named.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        };
        let failed = |error: object_store::Error| StoreError::of(url, &error);
        let options =
            ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT);
        let store: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::new().with_client_options(options);
                let builder =
                    named("GOOGLE_").fold(builder.with_url(url), |builder, (name, value)| {
                        match name.parse() {
                            Ok(key) => builder.with_config(key, value),
                            Err(_) => builder,
                        }
                    });
                Arc::new(builder.with_retry(retries()).build().map_err(failed)?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::new().with_client_options(options);
                let builder =
                    named("AZURE_").fold(builder.with_url(url), |builder, (name, value)| {
                        match name.parse() {
                            Ok(key) => builder.with_config(key, value),
                            Err(_) => builder,
                        }
                    });
                Arc::new(builder.with_retry(retries()).build().map_err(failed)?)
            }
            _ => {
                let builder = AmazonS3Builder::new().with_client_options(options);
                let builder =
                    named("AWS_").fold(builder.with_url(url), |builder, (name, value)| match name.parse() {
                        Ok(key) => builder.with_config(key, value),
                        Err(_) => builder,
                    });
                let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
                let builder = match endpoint.filter(|endpoint| is_loopback(endpoint)) {
                    Some(_) => builder.with_allow_http(true),
                    None => builder,
                };
                Arc::new(builder.with_retry(retries()).build().map_err(failed)?)
            }
        };
        Ok(Self { objects: store, prefix, url: url.trim_end_matches('/').to_owned() })
    }
}

/// Whether an endpoint is on this machine, where nobody listens in on plain HTTP.
fn is_loopback(endpoint: &str) -> bool {
    match Url::parse(endpoint).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A hiccup is no failure; anything longer is the caller's, who can tell of it.
fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 1, retry_timeout: Duration::from_secs(10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(url: &str, variables: &[(&str, &str)]) -> Result<Store, StoreError> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Store::new(url, owned.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_no_place_is_told_in_one_line() {
        for url in ["s3:/bucket", "ftp://host/x", "http://host/x", "s3://", "s3://user:secret@bucket/p"] {
            let error = store(url, &[]).unwrap_err().to_string();
            assert!(!error.contains('\n') && !error.contains("secret"), "{error}");
        }
        assert!(store("s3://bucket/some/prefix/", &[]).is_ok());
    }

    #[test]
    fn every_kind_of_store_is_there() {
        assert_eq!(store("s3://bucket/a/b/", &[]).unwrap().to_string(), "s3://bucket/a/b");
        store("gs://bucket/a", &[("GOOGLE_SKIP_SIGNATURE", "true")]).unwrap();
        store("az://container/a", &[("AZURE_STORAGE_ACCOUNT_NAME", "account")]).unwrap();
        assert_eq!(check("s3://bucket/a/b/").unwrap(), "bucket/a/b");
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        assert!(is_loopback("http://127.0.0.1:9000") && is_loopback("http://[::1]:1"));
        assert!(is_loopback("http://localhost:1"));
        assert!(!is_loopback("http://192.0.2.1") && !is_loopback("http://localhost.example"));
        assert!(!is_loopback("nonsense"));
    }
}
