//! What a store's failure is in one line: what was meant, what is wrong, what to do.

use object_store::Error;

/// Why something of a store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The URL names no place.
    #[error("{url} is no place for a log: {reason}")]
    Url {
        /// As the user wrote it, without what may be a secret.
        url: String,
        /// Why, and what to write.
        reason: String,
    },
    /// A file of this machine cannot be read or written.
    #[error("cannot {action} {path}: {reason}")]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// There is another object of that name.
    #[error("{object} exists and is another file: {reason}; it stays, and so does the local one")]
    Differs {
        /// The object.
        object: String,
        /// In what it differs.
        reason: String,
    },
    /// The store refused, or could not be asked.
    #[error("{object}: {reason}")]
    Store {
        /// The object or prefix.
        object: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn url(url: &str, reason: impl Into<String>) -> Self {
        let secret_free =
            match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
                Some((scheme, (_, rest))) => format!("{scheme}://…@{rest}"),
                None => url.to_owned(),
            };
        Self::Url { url: secret_free, reason: reason.into() }
    }

    pub(crate) fn file(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File { action, path: path.display().to_string(), reason: error.to_string() }
    }

    pub(crate) fn of(object: &str, error: &Error) -> Self {
        Self::Store { object: object.to_owned(), reason: explain(error) }
    }
}

/// The cause in words, and what to do where that is known.
fn explain(error: &Error) -> String {
    let text = error.to_string();
    let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
    match error {
        Error::NotFound { .. } if code == "NoSuchBucket" => {
            "there is no such bucket; make it first".to_owned()
        }
        Error::NotFound { .. } => "not found".to_owned(),
        _ if text.contains("NoSuchBucket") => "there is no such bucket; make it first".to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => denied(code),
        _ if is_denied(code) => denied(code),
        _ if !code.is_empty() => {
            let message = between(&text, "<Message>", "</Message>").unwrap_or_default();
            one_line(&format!("the store answered {code}: {message}"))
        }
        _ => {
            let cause = innermost(error);
            if text.contains("error sending request") || text.contains("HTTP error") {
                format!("the server cannot be reached ({cause})")
            } else {
                cause
            }
        }
    }
}

fn is_denied(code: &str) -> bool {
    matches!(code, "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken")
}

fn denied(code: &str) -> String {
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    format!(
        "access is denied{code}; check the credentials in the environment, for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
}

fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    one_line(&cause.to_string())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARACTERS_MAX).collect()
}
