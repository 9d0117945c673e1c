"""The main claim, on real clients of every kind: who truly downloaded is confirmed, and nobody else."""

import swarm


def test_downloads_are_confirmed_and_nothing_else(happened):
    """All that could be seen for five seconds on both sides of the threshold, and none that did not happen."""
    assert len(happened.downloads) == happened.scenario.downloads, sorted(happened.downloads)
    for capture in happened.captures.values():
        score = swarm.Score.of(happened, capture)
        assert score.false == []
        assert score.missed == []


def test_every_client_was_reached(happened):
    """With a handshake, and as the scenario says how."""
    scenario = happened.scenario
    leechers = {client.address: client.name for client in happened.clients if not client.seeds}
    for capture in happened.captures.values():
        contacts = [row for row in capture.rows("contacts") if row["handshake_us"] is not None and row["peer_id"]]
        reached = {row["ip"] for row in contacts}
        assert [client.name for client in happened.clients if client.address not in reached] == []
        by_number = sorted((row for row in contacts if row["ip"] in leechers), key=lambda row: row["contact"])
        first = {row["ip"]: row for row in reversed(by_number)}.values()
        for rows, expected in ((by_number, scenario.contacts), (first, scenario.first_contacts)):
            for column, value in expected.items():
                assert {(leechers[row["ip"]], row[column]) for row in rows if row[column] != value} == set()


def test_leechers_are_named_by_the_scenarios_source(happened):
    """Beside it there are only peers themselves: those that come to us, and those that tell of others (PEX)."""
    named_by = happened.scenario.named_by
    if named_by is None:
        return
    for capture in happened.captures.values():
        sources = {client.address: set() for client in happened.clients if not client.seeds}
        for row in capture.rows("sightings", ["ip", "source"]):
            if row["ip"] in sources:
                sources[row["ip"]].add(row["source"])
        assert set.union(*sources.values()) <= {named_by, "incoming", "pex"}
        assert [ip for ip, named in sources.items() if named.isdisjoint({named_by, "incoming"})] == []
        assert any(named_by in named for named in sources.values())
