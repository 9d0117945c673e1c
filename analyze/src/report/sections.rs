//! Which tables belong together on the page, and which of their rows come first.

/// A group of tables under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its tables in order.
    pub tables: &'static [&'static str],
}

/// The page's groups. A table in none of them comes last, under [`OTHERS`].
pub const GROUPS: &[Group] = &[
    Group {
        id: "downloads",
        title: "Downloads",
        tables: &["confirmed_hourly", "summary", "confirmed_downloads", "thresholds", "flagged"],
    },
    Group {
        id: "swarms",
        title: "Swarms",
        tables: &["population", "seeders_hourly", "sessions", "trackers"],
    },
    Group { id: "speed", title: "Speeds", tables: &["speeds", "speeds_by_country"] },
    Group {
        id: "places",
        title: "Places and clients",
        tables: &["countries", "cities", "networks", "hostnames", "clients"],
    },
    Group { id: "naming", title: "Sources", tables: &["sources", "sources_hourly", "requests"] },
    Group { id: "peers", title: "Contacts", tables: &["contacts", "visits"] },
    Group { id: "capture", title: "The capture itself", tables: &["health"] },
];

/// Heading of the tables that no group names.
pub const OTHERS: Group = Group { id: "more", title: "More tables", tables: &[] };

/// By which column a table's rows are put in order on the page, the largest first; `None` leaves the CSV's order.
pub fn order(table: &str) -> Option<&'static str> {
    match table {
        "cities" | "countries" | "networks" | "summary" => Some("confirmed_downloads"),
        "clients" | "hostnames" | "speeds_by_country" => Some("peers"),
        "confirmed_downloads" => Some("confirmed_at"),
        "confirmed_hourly" | "health" | "seeders_hourly" => Some("hour"),
        "contacts" => Some("contacts"),
        "requests" => Some("requests"),
        "trackers" => Some("scrape_downloads"),
        "speeds" => Some("max_speed_bytes_per_s"),
        _ => None,
    }
}
