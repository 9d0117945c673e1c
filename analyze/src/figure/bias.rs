//! In which direction what a figure shows errs, and why.

/// A sentence to stand beside a figure; empty where it only counts what happened.
pub fn bias(stem: &str) -> &'static str {
    match stem {
        "cities" | "networks" => {
            "Errs with the database: addresses of proxies, VPNs and mobile networks stand for people elsewhere."
        }
        "clients" => {
            "Errs little: a program may call itself another. Peers that were never reached are not in it."
        }
        "confirmed_downloads" => {
            "Errs to long: the download ended somewhere in the interval. The tables date it by the end."
        }
        "confirmed_hourly" => {
            "Errs low: downloads that were not seen both below and above the threshold are missing, the more the busier \
             the capture was. A download is counted when it was seen complete, at most one visit late."
        }
        "contacts" => {
            "Counts what happened, one row a contact; a peer that was tried often counts as often. Visit done is the usual \
             end: we had what we came for. Each bar tells what its name means."
        }
        "countries" => {
            "Errs low in number, as every count of confirmed downloads does. Countries with many peers behind NAT are \
             seen less; a VPN counts where it ends."
        }
        "speeds" | "speeds_by_country" => {
            "Errs low: speeds are averages between two observations, and of peers that download from others too many at \
             once. Peers that finish between two visits are not in it, and they are the fastest."
        }
        "flagged" => {
            "Errs to too many: a peer that started over, or whose address another took, may look as if it lied. None of \
             them is counted as a download."
        }
        "health" => "Counts what the capture told of itself, every gauge interval.",
        "hostnames" => {
            "Errs to unknown: the kind is guessed from names, and rules know the large providers best."
        }
        "population" => {
            "Seen errs low, estimates of sources that know each other's peers too; trackers err high, for peers that left \
             without a word count until they time out."
        }
        "requests" => "Counts what happened, one row a request.",
        "seeders_hourly" => "Errs to more seeders: complete peers stay longer and are met more easily.",
        "sessions" => "Errs low: a peer that stops answering, but stays, counts as gone.",
        "sources" => "New and alone depend on the order in which sources are asked: trackers come first.",
        "sources_hourly" => "New errs to sources that are asked first: an address is new once.",
        "summary_compared" => {
            "Points far below the line are swarms of which much was not seen, or whose tracker counts downloads of other \
             swarms' peers and of clients that lie."
        }
        "summary" => {
            "Confirmed errs low by construction. Unique peers err high where addresses change; scrape counts what clients \
             claim, and only the tracker that counted most of a torrent stands for it."
        }
        "speeds_by_country_map" => {
            "Errs low, as all speeds here; countries with few peers measured move most by chance."
        }
        "thresholds" => {
            "A lower threshold confirms peers that never finish, a higher one misses those that leave a moment before."
        }
        "trackers" => "Errs either way: clients may report twice, never, or falsely.",
        "visits" => "Counts what happened; peers seen late had fewer occasions to be visited.",
        _ => "",
    }
}
