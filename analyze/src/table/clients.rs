//! `clients`: which programs the peers run.

use super::definition::{Definition, Kind, column};

/// What `clients` holds.
pub const DEFINITION: Definition = Definition {
    name: "clients",
    title: "Clients",
    about: "Contacted peers by the program they run, told by peer ID (BEP 20) and extended handshake (BEP 10), over \
            all torrents.",
    key: 3,
    columns: &[
        column("software", Kind::Text, "The program; empty where neither peer ID nor `v` tells."),
        column(
            "peer_id_prefix",
            Kind::Text,
            "The peer ID's prefix, e.g. `-qB4520-`; empty where it has none.",
        ),
        column("client", Kind::Text, "The extended handshake's `v`; empty where it has none."),
        column("peers", Kind::Count, "Contacted peers."),
        column("share", Kind::Share, "Their part of all contacted peers."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads among them."),
    ],
};
