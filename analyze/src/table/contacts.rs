//! `contacts`: how contacts ended and how long they took.

use super::definition::{Definition, Kind, column};

/// What `contacts` holds.
pub const DEFINITION: Definition = Definition {
    name: "contacts",
    title: "Contacts",
    about: "Contacts by direction, transport, encryption, first or later attempt, and outcome.",
    key: 5,
    columns: &[
        column("direction", Kind::Text, "`out`: we connected; `in`: the peer did."),
        column("transport", Kind::Text, "`tcp` or `utp`."),
        column("encryption", Kind::Text, "`plain` or `mse`."),
        column("attempt", Kind::Text, "`first` contact with the peer in this direction, or a `later` one."),
        column("outcome", Kind::Text, "How the contact ended, e.g. `refused`."),
        column("success", Kind::Truth, "Whether the peer's handshake was received."),
        column("contacts", Kind::Count, "Contacts that ended so."),
        column(
            "share",
            Kind::Share,
            "Their part of all contacts of this direction, transport, encryption and attempt.",
        ),
        column("median_connect_us", Kind::Microseconds, "Median time to the connection; empty where none."),
        column("p95_connect_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_handshake_us", Kind::Microseconds, "Median time to the handshake; empty where none."),
        column("p95_handshake_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_open_us", Kind::Microseconds, "Median time open after it; empty where none."),
        column("p95_open_us", Kind::Microseconds, "95th percentile of the same."),
    ],
};
