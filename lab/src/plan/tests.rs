//! Plans: the same for a seed, an address for each peer, downloads as roles say, every kind of actor.

use std::collections::HashSet;

use super::{schedule::threshold_pieces, *};

const MINUTE: PlanOptions = PlanOptions { peers: 500, swarms: 4, length: Duration::from_mins(1), seed: 1 };

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(Plan::draw(&MINUTE), Plan::draw(&MINUTE));
    assert_ne!(Plan::draw(&MINUTE), Plan::draw(&PlanOptions { seed: 2, ..MINUTE }));
}

#[test]
fn every_peer_has_an_address_of_its_own() {
    let plan = Plan::draw(&PlanOptions { peers: 1_000, swarms: 9, ..MINUTE });
    let (neighbours, others): (Vec<_>, Vec<_>) =
        plan.peers.iter().partition(|peer| peer.profile.role == Role::Neighbours);
    let addresses: HashSet<_> = plan.peers.iter().map(|peer| peer.ip).collect();
    let shared: HashSet<_> = neighbours.iter().map(|peer| (peer.swarm, peer.ip)).collect();
    assert!(neighbours.len() >= 10);
    assert_eq!(shared.len(), neighbours.len().div_ceil(2), "two live at each");
    assert_eq!(addresses.len(), others.len() + shared.len());
    assert!(addresses.iter().all(Ipv4Addr::is_loopback));
}

#[test]
fn the_threshold_is_98_percent_rounded_up() {
    let expected = [
        (1, 1),
        (17, 17),
        (49, 49),
        (50, 49),
        (51, 50),
        (100, 98),
        (101, 99),
        (1_031, 1_011),
        (2_999, 2_940),
    ];
    for (pieces, threshold) in expected {
        assert_eq!(threshold_pieces(pieces), threshold, "{pieces}");
    }
}

#[test]
fn downloads_run_as_their_role_says() {
    let plan = Plan::draw(&MINUTE);
    let mut crossings = 0;
    for peer in &plan.peers {
        let schedule = &peer.schedule;
        let end = peer.leaves.unwrap_or(MINUTE.length).min(MINUTE.length);
        let crosses = schedule.crosses().is_some_and(|at| at <= end);
        let finishes = schedule.time_of(schedule.piece_count()).is_some_and(|at| at <= end);
        match peer.profile.role {
            Role::Leaves | Role::Moves | Role::Neighbours | Role::Rejoins | Role::Restarts | Role::Stays => {
                assert!(crosses && finishes, "{peer:?}");
                crossings += 1;
            }
            Role::Crashes | Role::Slow => assert!(!finishes && !crosses, "{peer:?}"),
            Role::Blackhole
            | Role::Hostile(_)
            | Role::PartialSeed
            | Role::Seeder
            | Role::SuperSeeder
            | Role::Unresponsive => assert!(!crosses && schedule.count_at(end) == schedule.initial()),
        }
        assert!(peer.joins < end, "{peer:?}");
        if let Some((from, to)) = peer.away {
            assert!(peer.joins < from && from < to && to < end, "{peer:?}");
            assert_eq!(
                schedule.count_at(from),
                schedule.count_at(to.saturating_sub(Duration::from_millis(1)))
            );
        }
        if peer.profile.role.downloads() {
            assert!(schedule.initial() < threshold_pieces(schedule.piece_count()), "{peer:?}");
        }
    }
    assert!(crossings > 250, "{crossings}");
}

#[test]
fn counts_and_times_of_a_schedule_agree() {
    let plan = Plan::draw(&MINUTE);
    for peer in plan.peers.iter().filter(|peer| peer.profile.role == Role::Stays) {
        let schedule = &peer.schedule;
        for count in schedule.initial() + 1..=schedule.piece_count() {
            let at = schedule.time_of(count).unwrap();
            assert!(schedule.count_at(at) >= count);
            assert!(schedule.count_at(at.saturating_sub(Duration::from_millis(1))) < count);
        }
        let mut pieces = schedule.pieces(0, schedule.piece_count()).to_vec();
        pieces.sort_unstable();
        assert!(pieces.iter().copied().eq(0..schedule.piece_count()));
    }
}

#[test]
fn every_kind_of_actor_is_on_stage() {
    let plan = Plan::draw(&PlanOptions { swarms: 10, ..MINUTE });
    let roles: HashSet<_> = plan.peers.iter().map(|peer| peer.profile.role).collect();
    assert_eq!(roles.len(), Role::TABLE.len());
    let clients: HashSet<_> = plan.peers.iter().map(|peer| peer.profile.client.name).collect();
    assert_eq!(clients.len(), CLIENTS.len());
    let liars = |peer: &&PeerPlan| peer.swarm == 9;
    assert!(plan.peers.iter().filter(liars).all(|peer| peer.profile.role == Role::Hostile(Hostile::Leaps)));
    assert!(plan.peers.iter().any(|peer| peer.profile.nat));
    assert!(plan.peers.iter().any(|peer| peer.dials && !peer.profile.nat));
    let unusual = |is_so: fn(&Profile) -> bool| plan.peers.iter().filter(|peer| is_so(&peer.profile)).count();
    assert!(unusual(|profile| profile.named_by == NamedBy::Neighbours) >= 10);
    assert!(unusual(|profile| profile.transport == Transport::Utp) >= 10);
}
