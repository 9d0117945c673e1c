//! What is kept of the DHT over restarts: our IDs and nodes that answered, as lines of text.
//!
//! `own FAMILY ID` and `node ID ADDRESS:PORT`; a line that is neither is passed over, as a file is only a hint.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use wire::{
    InfoHash,
    dht::{NodeInfo, node_id::NodeId},
    tracker::Family,
};

/// Nodes kept of each family.
pub(super) const NODES_MAX: usize = 200;
/// What is read of a file.
const BYTES_MAX: u64 = 1 << 20;

/// The IDs and nodes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub ids: HashMap<Family, NodeId>,
    pub nodes: Vec<NodeInfo>,
}

impl State {
    /// Reads a file; one that is missing or cannot be read is empty.
    pub fn load(path: &Path) -> Self {
        let mut text = Vec::new();
        match File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut text)) {
            Ok(_) => Self::parse(&String::from_utf8_lossy(&text)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("cannot read the known DHT nodes from {}: {error}", path.display());
                }
                Self::default()
            }
        }
    }

    /// Replaces the file at once or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    }

    fn parse(text: &str) -> Self {
        let mut state = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["own", family, id] => {
                    state.ids.extend(family_named(family).zip(parse_id(id)));
                }
                ["node", id, address] => {
                    let node = parse_id(id).zip(address.parse().ok());
                    state.nodes.extend(node.map(|(id, address)| NodeInfo { id, address }));
                }
                _ => {}
            }
        }
        state.nodes.truncate(2 * NODES_MAX);
        state
    }

    fn text(&self) -> String {
        let mut text =
            "# DHT nodes that answered, for the next start of a capture in this folder.\n".to_owned();
        let own = |family| self.ids.get(&family).map(|id| format!("own {} {id}\n", name(family)));
        text.extend([own(Family::Ipv4), own(Family::Ipv6)].into_iter().flatten());
        for NodeInfo { id, address } in &self.nodes {
            // Writing to a string cannot fail.
            writeln!(text, "node {id} {address}").ok();
        }
        text
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn family_named(text: &str) -> Option<Family> {
    [Family::Ipv4, Family::Ipv6].into_iter().find(|&family| name(family) == text)
}

fn parse_id(hex: &str) -> Option<NodeId> {
    Some(NodeId(hex.parse::<InfoHash>().ok()?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_odd_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/dht-nodes");
        assert_eq!(State::load(&path), State::default());
        let nodes = ["192.0.2.1:6881", "[2001:db8::1]:1"]
            .map(|address| NodeInfo { id: NodeId([0xab; 20]), address: address.parse().unwrap() });
        let state = State {
            ids: HashMap::from([(Family::Ipv4, NodeId([1; 20])), (Family::Ipv6, NodeId([2; 20]))]),
            nodes: nodes.to_vec(),
        };
        state.save(&path).unwrap();
        assert_eq!(State::load(&path), state);
        let text = fs::read_to_string(&path).unwrap() + "node abc 1.2.3.4:5\nnode\nown ipv9 00\n\u{0}\n";
        fs::write(&path, text).unwrap();
        assert_eq!(State::load(&path), state);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }
}
