//! Memory of a held contact: a capture's resident memory while it holds a few leechers, and while it holds many.
//!
//! The difference leaves out what a capture takes in any case; what is known of each peer is in it.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use super::contacts::{end, program, start, start_capture};
use crate::plan::Plan;

/// Longest wait for a capture to contact every peer.
const PATIENCE: Duration = Duration::from_mins(2);
/// Opening bursts are over, and what they needed is given back, this long after the last handshake.
const SETTLES: Duration = Duration::from_secs(6);
/// Peers of the small swarm.
const FEW: u32 = 100;

/// What is measured.
#[derive(Clone, Debug)]
pub struct HoldOptions {
    /// Leechers in the large swarm.
    pub peers: u32,
    /// The capture program; beside the running program if not given.
    pub capture: Option<PathBuf>,
    /// Folder for what the captures write.
    pub out: PathBuf,
}

/// Contacts held, and resident memory meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Contacts.
    pub contacts: u32,
    /// Bytes.
    pub resident_bytes: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// With the small swarm.
    pub few: Holding,
    /// With the large one.
    pub many: Holding,
}

impl Held {
    /// Bytes of a held contact.
    pub fn bytes_per_contact(&self) -> f64 {
        let bytes = self.many.resident_bytes as f64 - self.few.resident_bytes as f64;
        bytes / f64::from(self.many.contacts.saturating_sub(self.few.contacts).max(1))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Holding { contacts, resident_bytes } in [self.few, self.many] {
            writeln!(
                f,
                "{contacts:>6} held   {:>8.1} MiB resident",
                resident_bytes as f64 / f64::from(1 << 20)
            )?;
        }
        writeln!(f, "{:>6.0} bytes a contact", self.bytes_per_contact())
    }
}

/// Measures both.
pub async fn run(options: &HoldOptions) -> Result<Held> {
    ensure!(options.peers > FEW, "more than {FEW} peers are needed to compare with");
    Ok(Held { few: hold(options, FEW).await?, many: hold(options, options.peers).await? })
}

async fn hold(options: &HoldOptions, peers: u32) -> Result<Holding> {
    let program = program(options.capture.as_deref())?;
    let out = options.out.join(peers.to_string());
    let (world, addresses) = start(&out, peers, Plan::of_waiting_leechers).await?;
    let mut capture = start_capture(&program, &out, peers, "log")?;
    let reached = timeout(PATIENCE, world.tally.reaches(addresses.len())).await;
    ensure!(
        reached.is_ok(),
        "the capture contacted {} of {} peers within {PATIENCE:?}",
        world.tally.peers(),
        addresses.len()
    );
    sleep(SETTLES).await;
    let pid = capture.id().context("the capture has ended by itself")?;
    let resident_bytes = resident_bytes(pid)?;
    end(&mut capture).await?;
    world.end.cancel();
    Ok(Holding { contacts: peers, resident_bytes })
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("{path} tells no VmRSS"))? * 1024)
}
