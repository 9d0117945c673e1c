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
    leechers = {client.address: client.name for client in happened.clients if not client.seeds}
    for capture in happened.captures.values():
        contacts = [row for row in capture.rows("contacts") if row["handshake_us"] is not None and row["peer_id"]]
        reached = {row["ip"] for row in contacts}
        assert [client.name for client in happened.clients if client.address not in reached] == []
        for column, value in happened.scenario.contacts.items():
            others = {(leechers[row["ip"]], row[column]) for row in contacts if row["ip"] in leechers}
            assert {(name, seen) for name, seen in others if seen != value} == set()


def test_sources_are_those_of_the_scenario(happened):
    if happened.scenario.named_by is None:
        return
    leechers = {client.address for client in happened.clients if not client.seeds}
    for capture in happened.captures.values():
        rows = capture.rows("sightings", ["ip", "source"])
        assert {row["source"] for row in rows if row["ip"] in leechers} <= happened.scenario.named_by
