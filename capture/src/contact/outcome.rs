//! How a contact ended, told apart by cause.

use std::io::{Error, ErrorKind};

use schema::table::ContactOutcome;
use wire::peer::{
    mse,
    session::{Closer, End},
};

use super::link::Broken;
use crate::schedule::Why;

/// An outcome, and the cause in words where the outcome alone does not tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The outcome.
    pub outcome: ContactOutcome,
    /// The cause.
    pub error: Option<String>,
}

impl From<ContactOutcome> for Ending {
    fn from(outcome: ContactOutcome) -> Self {
        Self { outcome, error: None }
    }
}

impl From<End> for Ending {
    fn from(end: End) -> Self {
        let (outcome, error) = match end {
            End::HandshakeMalformed(error) => (ContactOutcome::HandshakeMalformed, Some(error)),
            End::HandshakeTimedOut => (ContactOutcome::HandshakeTimedOut, None),
            End::IdleTimedOut => (ContactOutcome::IdleTimedOut, None),
            End::ProtocolError(error) => (ContactOutcome::ProtocolError, Some(error)),
            End::SelfConnection => (ContactOutcome::SelfConnection, None),
            End::WrongInfoHash => (ContactOutcome::WrongInfoHash, None),
        };
        Self { outcome, error }
    }
}

impl From<Why> for Ending {
    fn from(why: Why) -> Self {
        match why {
            Why::Done => ContactOutcome::VisitDone.into(),
            Why::Limit => ContactOutcome::OurLimit.into(),
        }
    }
}

impl Ending {
    /// Whose doing the end is, for a contact with a handshake.
    pub fn closer(&self) -> Closer {
        match self.outcome {
            ContactOutcome::ClosedByRemote | ContactOutcome::Reset => Closer::Peer,
            _ => Closer::Us,
        }
    }

    /// Whether the peer hung up before its handshake, which may be an answer to what we said.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.outcome, ContactOutcome::HandshakeClosed | ContactOutcome::HandshakeReset)
    }

    /// The connection could not be made.
    pub fn of_connect(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => ContactOutcome::Refused.into(),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ContactOutcome::Unreachable.into(),
            ErrorKind::TimedOut => ContactOutcome::ConnectTimedOut.into(),
            _ => Self { outcome: ContactOutcome::ConnectFailed, error: Some(error.to_string()) },
        }
    }

    /// The connection broke, before or after the peer's handshake.
    pub fn of_broken(error: &Error, handshake: bool) -> Self {
        let outcome = if handshake { ContactOutcome::Reset } else { ContactOutcome::HandshakeReset };
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => outcome.into(),
            _ => Self { outcome, error: Some(error.to_string()) },
        }
    }

    /// The connection broke, or what obfuscates it failed.
    pub(super) fn of_link(broken: &Broken, handshake: bool) -> Self {
        match broken {
            Broken::Io(error) => Self::of_broken(error, handshake),
            Broken::Mse(error) => {
                let outcome = match error {
                    mse::Error::UnknownSwarm => ContactOutcome::WrongInfoHash,
                    _ => ContactOutcome::HandshakeMalformed,
                };
                Self { outcome, error: Some(error.to_string()) }
            }
        }
    }

    /// The peer closed the connection.
    pub fn of_closed(handshake: bool) -> Self {
        if handshake { ContactOutcome::ClosedByRemote.into() } else { ContactOutcome::HandshakeClosed.into() }
    }

    /// The capture ends.
    pub fn of_shutdown(handshake: bool) -> Self {
        if handshake { ContactOutcome::Shutdown.into() } else { ContactOutcome::ShutdownEarly.into() }
    }

    /// The scheduler wants the place; before the handshake that is as good as an end of the run to the peer.
    pub fn of_release(why: Why, handshake: bool) -> Self {
        if handshake { why.into() } else { ContactOutcome::ShutdownEarly.into() }
    }
}
