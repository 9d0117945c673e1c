"""What a host sent, read from a capture of its packets (classic pcap over Ethernet, IPv4 only)."""

import ipaddress
import struct
from collections import defaultdict
from dataclasses import dataclass

import libtorrent

MAGIC_LE_US = 0xA1B2C3D4
FILE_HEADER_LEN = 24
ETHERTYPE_IPV4 = 0x0800
TCP, UDP = 6, 17
SYN = 0x02
HANDSHAKE_LEN = 68
HANDSHAKE_START = b"\x13BitTorrent protocol"
UDP_ANNOUNCE = 1
UDP_ANNOUNCE_LEN = 98
UDP_EVENTS = {0: None, 1: "completed", 2: "started", 3: "stopped"}

KEEP_ALIVE = "keep_alive"
INTERESTED, REQUEST, PIECE, EXTENDED = 2, 6, 7, 20
EXTENDED_HANDSHAKE = 0


@dataclass
class Message:
    """A peer-wire message; `id` is KEEP_ALIVE for the one without."""

    id: int | str
    payload: bytes


def packets(path):
    """(protocol, source address, IP payload) of every IPv4 packet."""
    data = path.read_bytes()
    (magic,) = struct.unpack_from("<I", data)
    assert magic == MAGIC_LE_US, f"{path} is no little-endian pcap with microseconds"
    at = FILE_HEADER_LEN
    while at + 16 <= len(data):
        captured_len = struct.unpack_from("<IIII", data, at)[2]
        frame = data[at + 16 : at + 16 + captured_len]
        at += 16 + captured_len
        if len(frame) < 34 or struct.unpack_from(">H", frame, 12)[0] != ETHERTYPE_IPV4:
            continue
        packet = frame[14:]
        header_len, total_len = (packet[0] & 0xF) * 4, struct.unpack_from(">H", packet, 2)[0]
        yield packet[9], str(ipaddress.ip_address(packet[12:16])), packet[header_len:total_len]


def sent_streams(path, address):
    """The bytes `address` sent on each of its TCP connections, as far as they are without a gap."""
    isn, segments = {}, defaultdict(dict)
    for protocol, source, data in packets(path):
        if protocol != TCP or source != address:
            continue
        key, (seq,) = data[:4], struct.unpack_from(">I", data, 4)
        header_len, flags = (data[12] >> 4) * 4, data[13]
        if flags & SYN:
            # A reused pair of ports begins another connection.
            key_of_connection = (key, seq)
            isn[key] = key_of_connection
        elif key in isn:
            offset = (seq - isn[key][1] - 1) % 2**32
            kept = segments[isn[key]].get(offset, b"")
            if len(data) - header_len > len(kept):
                segments[isn[key]][offset] = data[header_len:]
    for parts in segments.values():
        stream = b""
        for offset in sorted(parts):
            if offset > len(stream):
                break
            stream += parts[offset][len(stream) - offset :]
        yield stream


def sent_messages(path, address):
    """Per peer-wire connection, the messages `address` sent after its handshake."""
    for stream in sent_streams(path, address):
        if not stream.startswith(HANDSHAKE_START):
            continue
        messages, at = [], HANDSHAKE_LEN
        while at + 4 <= len(stream):
            (length,) = struct.unpack_from(">I", stream, at)
            body = stream[at + 4 : at + 4 + length]
            if len(body) < length:
                break
            messages.append(Message(body[0], body[1:]) if body else Message(KEEP_ALIVE, b""))
            at += 4 + length
        yield messages


def extended_handshake(message):
    """The dictionary of an extended handshake (BEP 10), or None for any other message."""
    if message.id != EXTENDED or message.payload[:1] != bytes([EXTENDED_HANDSHAKE]):
        return None
    return libtorrent.bdecode(message.payload[1:])


def http_announces(path, address):
    """The request lines of the HTTP announces `address` sent."""
    for stream in sent_streams(path, address):
        if stream.startswith(b"GET /announce"):
            yield stream.split(b"\r\n", 1)[0].decode()


def udp_announce_events(path, address, tracker_port):
    """The events of the UDP announces (BEP 15) `address` sent."""
    for protocol, source, data in packets(path):
        if protocol != UDP or source != address or struct.unpack_from(">H", data, 2)[0] != tracker_port:
            continue
        payload = data[8:]
        if len(payload) >= UDP_ANNOUNCE_LEN and struct.unpack_from(">I", payload, 8)[0] == UDP_ANNOUNCE:
            yield UDP_EVENTS[struct.unpack_from(">I", payload, 80)[0]]
