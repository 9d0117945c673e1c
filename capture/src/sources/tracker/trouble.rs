//! Why a request to a tracker brought no answer: a closed set of causes, and the words of whoever knows more.

use std::{error::Error, io, time::Duration};

use schema::table::RequestOutcome;

use super::host::HostError;
use crate::{
    explain::{causes, explain},
    units::format_duration,
};

/// A request without an answer that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The cause.
    pub outcome: RequestOutcome,
    /// The tracker's own words, or what went wrong.
    pub error: String,
}

impl Trouble {
    /// A trouble of that cause.
    pub fn new(outcome: RequestOutcome, error: impl Into<String>) -> Self {
        Self { outcome, error: error.into() }
    }

    /// No answer in time.
    pub fn timed_out(after: Duration) -> Self {
        Self::new(RequestOutcome::TimedOut, format!("no answer within {}", format_duration(after)))
    }
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        let outcome = match error {
            HostError::NotAllowed { .. } => RequestOutcome::NotAllowed,
            HostError::Unresolved { .. } => RequestOutcome::Unresolved,
        };
        Self::new(outcome, error.to_string())
    }
}

impl From<wire::tracker::http::ResponseError> for Trouble {
    fn from(error: wire::tracker::http::ResponseError) -> Self {
        match error {
            wire::tracker::http::ResponseError::Failure(words) => Self::new(RequestOutcome::Failure, words),
            error => Self::new(RequestOutcome::Malformed, error.to_string()),
        }
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(host) = causes(&error).find_map(|cause| cause.downcast_ref::<HostError>()) {
            return host.clone().into();
        }
        let outcome = if error.is_timeout() {
            RequestOutcome::TimedOut
        } else if error.is_connect() || causes(&error).any(is_broken_connection) {
            RequestOutcome::ConnectionFailed
        } else if error.is_decode() || causes(&error).any(is_no_http) {
            RequestOutcome::Malformed
        } else {
            RequestOutcome::ConnectionFailed
        };
        Self::new(outcome, explain(&error))
    }
}

/// The connection ended early or with an error, as against what came over it being wrong.
fn is_broken_connection(cause: &(dyn Error + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<hyper::Error>() else { return false };
    error.is_incomplete_message() || error.source().is_some_and(<dyn Error>::is::<io::Error>)
}

fn is_no_http(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}
