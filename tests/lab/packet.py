"""Reading and building the few packets that the path box has to understand."""

import socket
import struct

ETHERNET = 14
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

RCODES = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
QTYPES = {"A": 1, "AAAA": 28}


class Packet:
    """An Ethernet frame with an IPv4 or IPv6 packet inside; `parse` gives None for others."""

    @classmethod
    def parse(cls, frame):
        kind = frame[12:14]
        if kind not in (b"\x08\x00", b"\x86\xdd"):
            return None
        self = cls()
        self.frame = frame
        self.ip = frame[ETHERNET:]
        if kind == b"\x08\x00":
            self.version = 4
            size = (self.ip[0] & 15) * 4
            end = struct.unpack_from("!H", self.ip, 2)[0]
            self.protocol = self.ip[9]
            self.ttl = self.ip[8]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET, self.ip[i : i + 4]) for i in (12, 16))
        else:
            self.version = 6
            size = 40
            end = 40 + struct.unpack_from("!H", self.ip, 4)[0]
            self.protocol = self.ip[6]
            self.ttl = self.ip[7]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, self.ip[i : i + 16]) for i in (8, 24))
        self.segment = self.ip[size:end]
        self.payload = b""
        self.sport = self.dport = self.seq = self.ack = self.flags = 0
        if self.protocol == TCP:
            self.sport, self.dport, self.seq, self.ack, offset, self.flags = struct.unpack_from("!HHIIBB", self.segment)
            self.payload = self.segment[(offset >> 4) * 4 :]
        elif self.protocol == UDP:
            self.sport, self.dport = struct.unpack_from("!HH", self.segment)
            self.payload = self.segment[8:]
        return self

    def after_hops(self, hops):
        """The frame as it looks after `hops` routers."""
        frame = bytearray(self.frame)
        if self.version == 6:
            frame[ETHERNET + 7] = max(1, frame[ETHERNET + 7] - hops)
            return bytes(frame)
        frame[ETHERNET + 8] = max(1, frame[ETHERNET + 8] - hops)
        header = frame[ETHERNET : ETHERNET + (frame[ETHERNET] & 15) * 4]
        header[10:12] = b"\0\0"
        struct.pack_into("!H", frame, ETHERNET + 10, checksum(header))
        return bytes(frame)


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def reply(to, src, ttl, protocol, segment, checksum_at):
    """A frame from `src` to the sender of the packet `to`; the checksum of the segment is filled in."""
    destination, source = to.frame[6:12], to.frame[0:6]
    segment = bytearray(segment)
    if protocol == ICMP:
        pseudo = b""
    else:
        pseudo = packed(src) + packed(to.src) + struct.pack("!IBBBB", len(segment), 0, 0, 0, protocol)
    struct.pack_into("!H", segment, checksum_at, checksum(pseudo + segment))
    if to.version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(segment), protocol, ttl) + packed(src) + packed(to.src)
        return destination + source + b"\x86\xdd" + header + segment
    header = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, ttl, protocol, 0))
    header += packed(src) + packed(to.src)
    struct.pack_into("!H", header, 10, checksum(header))
    return destination + source + b"\x08\x00" + header + segment


def tcp_reply(to, ttl, flags, seq, ack, payload=b""):
    """A TCP segment without options, as the packet's destination would send it."""
    window = 0 if flags & RST else 512
    head = struct.pack("!HHIIBBHHH", to.dport, to.sport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, window, 0, 0)
    return reply(to, to.dst, ttl, TCP, head + payload, 16)


def prohibited(to, src, ttl):
    """ICMP destination unreachable, communication administratively prohibited (RFC 1812 section 5.2.7.1)."""
    return reply(to, src, ttl, ICMP, struct.pack("!BBHI", 3, 13, 0, 0) + to.ip[:28], 2)


def time_exceeded(to, src, ttl):
    """ICMP time to live exceeded in transit (RFC 792)."""
    return reply(to, src, ttl, ICMP, struct.pack("!BBHI", 11, 0, 0, 0) + to.ip[:28], 2)


def question(payload):
    """Name, type and end of the only question of a DNS query; None for anything else."""
    if len(payload) < 17 or payload[2] & 0x80 or payload[4:6] != b"\0\x01":
        return None
    labels, at = [], 12
    while payload[at]:
        labels.append(payload[at + 1 : at + 1 + payload[at]].decode("ascii", "replace"))
        at += 1 + payload[at]
    return ".".join(labels).lower(), struct.unpack_from("!H", payload, at + 1)[0], at + 5


def dns_reply(to, ttl, answer):
    """An answer to the query `to`: {"A": ADDRESS, "AAAA": ADDRESS, "rcode": NAME, "truncated": true}; without EDNS0, as injectors send it."""
    _, qtype, end = question(to.payload)
    address = next((answer.get(name) for name, number in QTYPES.items() if number == qtype), None)
    rcode = RCODES[answer.get("rcode", "NOERROR")]
    flags = 0x8180 | rcode | (0x0200 if answer.get("truncated") else 0)
    message = to.payload[:2] + struct.pack("!HHHHH", flags, 1, 1 if address else 0, 0, 0) + to.payload[12:end]
    if address:
        data = packed(address)
        message += struct.pack("!HHHIH", 0xC00C, qtype, 1, 180, len(data)) + data
    return reply(to, to.dst, ttl, UDP, struct.pack("!HHHH", to.dport, to.sport, 8 + len(message), 0) + message, 6)


def server_name(stream):
    """The server name in the start of a TLS ClientHello, as far as it is there (RFC 8446 section 4.1.2, RFC 6066 section 3)."""
    if stream[:1] != b"\x16" or stream[5:6] != b"\x01":
        return None
    try:
        at = 5 + 4 + 2 + 32
        at += 1 + stream[at]
        at += 2 + struct.unpack_from("!H", stream, at)[0]
        at += 1 + stream[at] + 2
        while True:
            kind, length = struct.unpack_from("!HH", stream, at)
            at += 4
            if kind == 0:
                return stream[at + 5 : at + length].decode("ascii", "replace") if len(stream) >= at + length else None
            at += length
    except (struct.error, IndexError):
        return None
