//! `sources`: what each source contributed, and how far sources name the same peers.

use super::definition::{Definition, Kind, column};

/// What `sources` holds.
pub const DEFINITION: Definition = Definition {
    name: "sources",
    title: "Sources",
    about: "Addresses each source named, and how many of its peers other sources named as well, over all torrents.",
    key: 1,
    columns: &[
        column("source", Kind::Text, "What named the peers, e.g. `tracker_udp`."),
        column("received", Kind::Count, "Addresses received, repeats included."),
        column("new", Kind::Count, "Addresses no source had named before."),
        column("duplicate", Kind::Count, "Addresses some source had named before: received − new."),
        column("unique_peers", Kind::Count, "Different peers the source named."),
        column("contacted_peers", Kind::Count, "Of these, peers whose handshake was received at least once."),
        column("only_here", Kind::Count, "Of these, peers no other source named."),
        column("also_dht", Kind::Count, "Of these, peers the DHT named as well."),
        column("also_incoming", Kind::Count, "Of these, peers that connected to us as well."),
        column("also_lsd", Kind::Count, "Of these, peers local discovery named as well."),
        column("also_magnet", Kind::Count, "Of these, peers a magnet link named as well."),
        column("also_pex", Kind::Count, "Of these, peers that peer exchange named as well."),
        column("also_tracker_http", Kind::Count, "Of these, peers an HTTP tracker named as well."),
        column("also_tracker_udp", Kind::Count, "Of these, peers a UDP tracker named as well."),
    ],
};
