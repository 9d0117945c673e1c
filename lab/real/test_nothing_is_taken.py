"""No capture asks for a byte of content, offers one, or gets one: by the packets, and by the clients' own word.

Packets prove it where they can be read: plain connections over TCP and uTP, message by message. An encrypted
connection cannot be read; there the proofs are libtorrent's own log of the messages it decrypted, every client's own
account of what it gave, and that no connection was long enough for a single block.
"""

import pcap

UNCHOKE, HAVE, BITFIELD, SUGGEST_PIECE, HAVE_ALL, ALLOWED_FAST = 1, 4, 5, 13, 14, 17
NEVER_SENT = {
    UNCHOKE,
    pcap.INTERESTED,
    HAVE,
    BITFIELD,
    pcap.REQUEST,
    pcap.PIECE,
    SUGGEST_PIECE,
    HAVE_ALL,
    ALLOWED_FAST,
}
# As libtorrent names them in its log.
NEVER_HEARD = {
    "ALLOWED_FAST",
    "BITFIELD",
    "HAVE",
    "HAVE_ALL",
    "INTERESTED",
    "PIECE",
    "REQUEST",
    "SUGGEST",
    "SUGGEST_PIECE",
    "UNCHOKE",
}
BLOCK_LEN = 16 * 1024
# Any run of content twice as long holds a whole one of these.
CHUNK_LEN = 16


def test_plain_connections_only_listen(happened):
    for capture in happened.captures.values():
        sent = pcap.sent_messages(capture.packets, capture.address)
        assert sent or happened.scenario.encrypted, "no plain connection in the recorded packets"
        assert not {message.id for messages in sent for message in messages} & NEVER_SENT


def test_clients_heard_no_message_that_asks_or_offers(happened):
    """Over every transport and encryption, by libtorrent's log, which holds what is asked of it by others."""
    logs = [client for client in happened.clients if client.program.startswith("libtorrent")]
    assert any({"INTERESTED", "REQUEST"} <= client.heard_from("others") for client in logs if client.seeds)
    for capture in happened.captures.values():
        heard = {client.name: client.heard_from(capture.address) for client in logs}
        assert any("EXTENDED_HANDSHAKE" in kinds for kinds in heard.values()), heard
        assert {name: kinds & NEVER_HEARD for name, kinds in heard.items() if kinds & NEVER_HEARD} == {}


def test_clients_gave_nothing(happened):
    for capture in happened.captures.values():
        assert {client.name for client in happened.clients if client.given_to(capture.address)} == set()


def test_no_connection_carried_a_block(happened):
    peers = {client.address for client in happened.clients}
    for capture in happened.captures.values():
        carried = [stream for stream in pcap.streams(capture.packets) if {stream.source, stream.destination} & peers]
        assert carried
        assert max(map(len, carried)) < BLOCK_LEN
        assert max(row["bytes_in"] or 0 for row in capture.rows("contacts")) < BLOCK_LEN


def test_no_packet_holds_content(happened):
    content = happened.torrent.content_bytes
    chunks = {content[at : at + CHUNK_LEN] for at in range(0, len(content), CHUNK_LEN)}
    for capture in happened.captures.values():
        for packet in pcap.packets(capture.packets):
            payload = packet.payload
            assert chunks.isdisjoint(payload[at : at + CHUNK_LEN] for at in range(len(payload))), packet
