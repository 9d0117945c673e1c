//! `addresses`: what is kept of the addresses of a log that hides them.

use std::net::IpAddr;

define_table! {
    /// What is known of an address that the log hides (`--addresses prefix` or `pseudonym`).
    ///
    /// Written before the first row of a run that has the address, and again now and then; all rows of one address say
    /// the same, unless a database was changed between two runs. A log with full addresses has none.
    Address in "addresses" {
        /// The pseudonym that stands for the address in every table and every text.
        ip: IpAddr,
        /// The network it is in, `192.0.2.0/24` or `2001:db8:1::/48`; null with `--addresses pseudonym`.
        prefix: Option<String>,
        /// Its country when it was seen, ISO 3166-1 alpha-2; null where unknown.
        country: Option<String>,
        /// Its autonomous system when it was seen; null where unknown or without `--geoip-asn`.
        asn: Option<u64>,
        /// Who runs that autonomous system; null where unknown.
        organization: Option<String>,
    }
}
