//! `hostnames`: reverse lookups.

use std::net::IpAddr;

closed_set! {
    /// How a reverse lookup ended.
    HostnameOutcome {
        /// The resolver failed.
        Failed = 0, "failed";
        /// The address has no name.
        NoName = 1, "no_name";
        /// A name was found.
        Ok = 2, "ok";
        /// No answer in time.
        TimedOut = 3, "timed_out";
    }
}

define_table! {
    /// A reverse lookup.
    Hostname in "hostnames" {
        /// The address looked up.
        ip: IpAddr,
        /// Its name, lower case, without the final dot; null without one.
        hostname: Option<String>,
        /// How the lookup ended.
        outcome: HostnameOutcome,
    }
}
