//! What to look at, or to do, where a figure has nothing to show.

/// A sentence to stand behind the one that says why a figure is empty; empty itself where nothing is amiss.
pub fn advice(stem: &str) -> &'static str {
    match stem {
        "cities" => "Give a database that has them with --geoip-city, for example DB-IP City Lite.",
        "clients" => "Contacts tells how contacts with peers ended.",
        "confirmed_downloads" | "confirmed_hourly" | "thresholds" => {
            "Downloads take their time: watch for longer, or torrents that more peers download. Contacts tells how many \
             peers could be watched at all."
        }
        "contacts" | "visits" => "Sources tells whether any source named one.",
        "countries" => {
            "Addresses of private networks have none; for others give a database with --geoip-city."
        }
        "health" => "A capture writes them every --gauge-every, 10 s unless told otherwise.",
        "networks" => "Give a database of networks with --geoip-asn.",
        "population" => {
            "Methods need two sources that name the same peers, peers that are named again later, or trackers and DHT \
             nodes that tell their counts."
        }
        "requests" => "A capture with sources and torrents asks within seconds.",
        "seeders_hourly" => "Contacts tells how contacts with peers ended, Requests how sources answered.",
        "sessions" => "Watch for longer: who is met in the first tenth of the watch may have come before it.",
        "sources" | "sources_hourly" | "summary" | "summary_compared" => {
            "Requests tells how trackers and other sources answered."
        }
        "speeds" | "speeds_by_country" => {
            "Watch for longer: a speed needs two observations of a peer that downloads."
        }
        "speeds_by_country_map" => "Watch for longer, or torrents that more peers download.",
        "trackers" => "Requests tells how trackers answered; with --no-trackers a capture asks none.",
        _ => "",
    }
}
