"""What a host sent and received, read from a capture of its packets (classic pcap over Ethernet; IPv4 and IPv6).

Streams of TCP and uTP (BEP 29) are put together by sequence number. Nothing is decrypted: of an encrypted connection
(MSE) only its length is known here, what it said is for the clients to tell.
"""

import ipaddress
import struct
from collections import defaultdict
from dataclasses import dataclass, field

import libtorrent

MAGIC_LE_US = 0xA1B2C3D4
FILE_HEADER_LEN = 24
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
IPV6_HEADER_LEN = 40
TCP, UDP = 6, 17
UDP_HEADER_LEN = 8
SYN = 0x02
HANDSHAKE_LEN = 68
HANDSHAKE_START = b"\x13BitTorrent protocol"
UDP_ANNOUNCE = 1
UDP_ANNOUNCE_LEN = 98
UDP_EVENTS = {0: None, 1: "completed", 2: "started", 3: "stopped"}
UTP_HEADER_LEN = 20
UTP_VERSION = 1
UTP_DATA, UTP_SYN = 0, 4

KEEP_ALIVE = "keep_alive"
INTERESTED, REQUEST, PIECE, EXTENDED = 2, 6, 7, 20
EXTENDED_HANDSHAKE = 0


@dataclass
class Message:
    """A peer-wire message; `id` is KEEP_ALIVE for the one without."""

    id: int | str
    payload: bytes


@dataclass
class Packet:
    """A TCP segment or a UDP datagram."""

    protocol: int
    source: str
    destination: str
    data: bytes

    @property
    def ports(self):
        return struct.unpack_from(">HH", self.data)

    @property
    def payload(self):
        return self.data[(self.data[12] >> 4) * 4 if self.protocol == TCP else UDP_HEADER_LEN :]


@dataclass
class Stream:
    """One direction of a connection."""

    transport: str
    source: str
    destination: str
    parts: dict = field(default_factory=lambda: defaultdict(bytes))

    def add(self, offset, data):
        # A retransmission may hold more than what it repeats.
        if len(data) > len(self.parts[offset]):
            self.parts[offset] = data


class TcpStream(Stream):
    """Parts are numbered by their first byte."""

    @property
    def data(self):
        """The bytes up to the first gap."""
        stream = b""
        for offset in sorted(self.parts):
            if offset > len(stream):
                break
            stream += self.parts[offset][len(stream) - offset :]
        return stream

    def __len__(self):
        return max((offset + len(part) for offset, part in self.parts.items()), default=0)


class UtpStream(Stream):
    """Parts are numbered by packet."""

    @property
    def data(self):
        """The bytes up to the first gap."""
        numbers = sorted(self.parts)
        unbroken = [number for at, number in enumerate(numbers) if number == numbers[0] + at]
        return b"".join(self.parts[number] for number in unbroken)

    def __len__(self):
        return sum(map(len, self.parts.values()))


def packets(path):
    """Every TCP segment and UDP datagram of the file."""
    data = path.read_bytes()
    (magic,) = struct.unpack_from("<I", data)
    assert magic == MAGIC_LE_US, f"{path} is no little-endian pcap with microseconds"
    at = FILE_HEADER_LEN
    while at + 16 <= len(data):
        captured_len = struct.unpack_from("<IIII", data, at)[2]
        frame = data[at + 16 : at + 16 + captured_len]
        at += 16 + captured_len
        ethertype, packet = struct.unpack_from(">H", frame, 12)[0], frame[14:]
        if ethertype == ETHERTYPE_IPV4:
            header_len, total_len = (packet[0] & 0xF) * 4, struct.unpack_from(">H", packet, 2)[0]
            protocol, source, destination = packet[9], packet[12:16], packet[16:20]
        elif ethertype == ETHERTYPE_IPV6:
            # Extension headers are for others than TCP and UDP here.
            header_len, total_len = IPV6_HEADER_LEN, IPV6_HEADER_LEN + struct.unpack_from(">H", packet, 4)[0]
            protocol, source, destination = packet[6], packet[8:24], packet[24:40]
        else:
            continue
        if protocol in (TCP, UDP):
            addresses = (str(ipaddress.ip_address(address)) for address in (source, destination))
            yield Packet(protocol, *addresses, packet[header_len:total_len])


def utp_part(payload):
    """(connection id, type, sequence number, data) of a uTP packet; None for any other datagram."""
    if len(payload) < UTP_HEADER_LEN or payload[0] & 0xF != UTP_VERSION or payload[0] >> 4 > UTP_SYN:
        return None
    extension, at = payload[1], UTP_HEADER_LEN
    while extension and at + 2 <= len(payload):
        extension, length = payload[at], payload[at + 1]
        at += 2 + length
    connection, sequence = struct.unpack_from(">H", payload, 2)[0], struct.unpack_from(">H", payload, 16)[0]
    return connection, payload[0] >> 4, sequence, payload[at:]


def streams(path):
    """Both directions of every TCP and uTP connection, as streams that hold something."""
    tcp, utp, first = {}, {}, {}
    found = []
    for packet in packets(path):
        key = (packet.source, packet.destination, *packet.ports)
        if packet.protocol == TCP:
            (sequence,) = struct.unpack_from(">I", packet.data, 4)
            if packet.data[13] & SYN and first.get(key) != sequence:
                # A reused pair of ports begins another connection.
                first[key], tcp[key] = sequence, TcpStream("tcp", packet.source, packet.destination)
                found.append(tcp[key])
            elif key in tcp and packet.payload:
                tcp[key].add((sequence - first[key] - 1) % 2**32, packet.payload)
            continue
        part = utp_part(packet.payload)
        if part is None:
            continue
        connection, kind, sequence, data = part
        if kind == UTP_SYN:
            # What follows has the next id; an id that is used again begins another connection.
            utp.pop((key, (connection + 1) % 2**16), None)
            utp.pop(((key[1], key[0], key[3], key[2]), connection), None)
        if kind != UTP_DATA or not data:
            continue
        if (key, connection) not in utp:
            utp[key, connection] = (sequence, UtpStream("utp", packet.source, packet.destination))
            found.append(utp[key, connection][1])
        begin, stream = utp[key, connection]
        # Numbers wrap; a late packet may be from before the first one seen.
        stream.add((sequence - begin + 2**15) % 2**16 - 2**15, data)
    return [stream for stream in found if len(stream)]


def messages_of(stream):
    """The peer-wire messages of a plain stream after its handshake; None for any other stream."""
    data = stream.data
    if not data.startswith(HANDSHAKE_START):
        return None
    messages, at = [], HANDSHAKE_LEN
    while at + 4 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 4 + length]
        if len(body) < length:
            break
        messages.append(Message(body[0], body[1:]) if body else Message(KEEP_ALIVE, b""))
        at += 4 + length
    return messages


def sent_messages(path, address):
    """Per plain connection, over TCP or uTP, the messages `address` sent after its handshake."""
    sent = (messages_of(stream) for stream in streams(path) if stream.source == address)
    return [messages for messages in sent if messages is not None]


def extended_handshake(message):
    """The dictionary of an extended handshake (BEP 10), or None for any other message."""
    if message.id != EXTENDED or message.payload[:1] != bytes([EXTENDED_HANDSHAKE]):
        return None
    return libtorrent.bdecode(message.payload[1:])


def http_announces(path, address):
    """The request lines of the HTTP announces `address` sent."""
    for stream in streams(path):
        if stream.source == address and stream.data.startswith(b"GET /announce"):
            yield stream.data.split(b"\r\n", 1)[0].decode()


def udp_announce_events(path, address, tracker_port):
    """The events of the UDP announces (BEP 15) `address` sent."""
    for packet in packets(path):
        if packet.protocol != UDP or packet.source != address or packet.ports[1] != tracker_port:
            continue
        payload = packet.payload
        if len(payload) >= UDP_ANNOUNCE_LEN and struct.unpack_from(">I", payload, 8)[0] == UDP_ANNOUNCE:
            yield UDP_EVENTS[struct.unpack_from(">I", payload, 80)[0]]
