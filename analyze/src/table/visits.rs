//! `visits`: how often peers were contacted.

use super::definition::{Definition, Kind, column};

/// What `visits` holds.
pub const DEFINITION: Definition = Definition {
    name: "visits",
    title: "Visits",
    about: "How many contacts each peer had, tried and successful, over all torrents.",
    key: 1,
    columns: &[
        column("contacts", Kind::Count, "A number of contacts."),
        column("peers_tried", Kind::Count, "Peers with exactly so many contacts, successful or not."),
        column("share_tried", Kind::Share, "Part of all tried peers with at most so many contacts."),
        column("peers_reached", Kind::Count, "Peers with exactly so many contacts with a handshake."),
        column("share_reached", Kind::Share, "Part of all reached peers with at most so many such contacts."),
    ],
};
