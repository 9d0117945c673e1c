//! Contacts per second: a capture's first contacts against a bare connect–handshake–close loop, same peers, same time.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use wire::{
    PeerId,
    peer::handshake::{Handshake, Reserved},
};

use crate::{
    peer::{connection::read_handshake, life},
    plan::{Plan, PlanOptions},
    swarm::{SwarmOptions, World},
    tracker::{self, Tracker},
};

/// Longest wait for a capture to contact every peer.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct ContactsOptions {
    /// Seeders in the swarm.
    pub peers: u32,
    /// Connections open at once, in the bare loop.
    pub open: usize,
    /// How often each way is measured; the medians count.
    pub rounds: u32,
    /// The capture program; beside the running program if not given.
    pub capture: Option<PathBuf>,
    /// Folder for what the capture writes.
    pub out: PathBuf,
}

/// Contacts per second, each way.
#[derive(Clone, Debug, PartialEq)]
pub struct Contacts {
    /// By the bare loop, round by round.
    pub bare: Vec<f64>,
    /// By the capture, round by round.
    pub capture: Vec<f64>,
}

impl Contacts {
    /// The capture's median over the bare loop's.
    pub fn ratio(&self) -> f64 {
        median(&self.capture) / median(&self.bare)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rates) in [("bare loop", &self.bare), ("capture", &self.capture)] {
            let each: Vec<_> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
            writeln!(f, "{name:<10} {:>8.0} contacts/s   (rounds: {})", median(rates), each.join(", "))?;
        }
        writeln!(f, "{:<10} {:>8.2}", "ratio", self.ratio())
    }
}

/// Measures both ways in turn.
pub async fn run(options: &ContactsOptions) -> Result<Contacts> {
    let program = program(options.capture.as_deref())?;
    let (world, addresses) = start(&options.out, options.peers, Plan::of_seeders).await?;
    let mut contacts = Contacts { bare: Vec::new(), capture: Vec::new() };
    for round in 0..options.rounds {
        world.tally.reset();
        bare_loop(&world, &addresses, options.open).await?;
        contacts.bare.push(rate(&world));
        world.tally.reset();
        let mut capture = start_capture(&program, &options.out, options.peers, &format!("log-{round}"))?;
        let reached = timeout(PATIENCE, world.tally.reaches(addresses.len())).await;
        let counted = world.tally.peers();
        contacts.capture.push(rate(&world));
        end(&mut capture).await?;
        if reached.is_err() {
            bail!("the capture contacted {counted} of {} peers within {PATIENCE:?}", addresses.len());
        }
    }
    world.end.cancel();
    Ok(contacts)
}

fn rate(world: &World) -> f64 {
    world.tally.peers() as f64 / world.tally.span().as_secs_f64()
}

/// The capture program: the one chosen, or that beside the running program.
pub(super) fn program(chosen: Option<&Path>) -> Result<PathBuf> {
    let program = match chosen {
        Some(program) => program.to_owned(),
        None => {
            std::env::current_exe().context("cannot tell where this program is")?.with_file_name("capture")
        }
    };
    ensure!(program.exists(), "{} is missing: build the workspace, or give --capture", program.display());
    Ok(program)
}

/// A swarm of so many peers and a tracker that names them all; the torrent is written to the folder.
pub(super) async fn start(
    out: &Path,
    peers: u32,
    plan: fn(&PlanOptions) -> Plan,
) -> Result<(Arc<World>, Vec<SocketAddr>)> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let plan_options = PlanOptions { peers, swarms: 1, length: Duration::from_hours(1), seed: 1 };
    let plan = plan(&plan_options);
    let world = Arc::new(World::new(
        &plan,
        &SwarmOptions {
            plan: plan_options,
            out: out.to_owned(),
            interval: Duration::from_mins(1),
            // Nobody is to be left out: the capture is a member as well.
            answer_peers: usize::try_from(peers)?.saturating_add(1),
            wait_for_capture: false,
            ready_file: None,
        },
    )?);
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, 2), 0))).await?;
    let url = format!("http://{}/announce", listener.local_addr()?);
    let torrent = world.torrents.first().context("the plan has no torrent")?;
    std::fs::write(out.join("bench.torrent"), torrent.file(std::slice::from_ref(&url)))?;
    std::fs::write(out.join("list.txt"), "bench.torrent\n")?;
    let tracker = Tracker { world: Arc::clone(&world), url, compact: true, generous: true };
    tokio::spawn(tracker::http::serve(tracker, listener, world.end.clone()));
    let mut addresses = Vec::new();
    for peer in plan.peers {
        let up = life::come_up(&world, peer).await?;
        addresses.push(up.address());
        tokio::spawn(up.live());
    }
    world.begin();
    Ok((world, addresses))
}

/// Connects, shakes hands and closes, so many at once.
async fn bare_loop(world: &Arc<World>, addresses: &[SocketAddr], open: usize) -> Result<()> {
    let info_hash = world.torrents.first().map(|torrent| wire::InfoHash(torrent.info_hash));
    let info_hash = info_hash.context("the plan has no torrent")?;
    let handshake = Handshake { reserved: Reserved(0), info_hash, peer_id: PeerId(*b"-XX0000-bare loop...") };
    let places = Arc::new(Semaphore::new(open));
    let mut tasks = JoinSet::new();
    for address in addresses.iter().copied() {
        let place = Arc::clone(&places).acquire_owned().await?;
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(&handshake.encode()).await?;
            read_handshake(&mut stream).await?;
            drop(place);
            std::io::Result::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?.context("a bare contact failed")?;
    }
    Ok(())
}

pub(super) fn start_capture(program: &Path, out: &Path, peers: u32, log: &str) -> Result<Child> {
    let places = (peers * 2).to_string();
    Command::new(program)
        .arg("--torrents")
        .arg(out.join("list.txt"))
        .arg("--out")
        .arg(out.join(log))
        .args(["--allow-private", "--no-listen", "--contacts-per-second", "1000000", "--max-open", &places])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Ends the capture in good order.
pub(super) async fn end(capture: &mut Child) -> Result<()> {
    let pid = capture.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("the capture has ended by itself")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let status =
        timeout(Duration::from_secs(30), capture.wait()).await.context("the capture does not end")??;
    ensure!(status.success(), "the capture ended with {status}");
    Ok(())
}
