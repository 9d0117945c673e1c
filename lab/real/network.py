"""Hosts with addresses of their own: network namespaces on one bridge, with no way out.

Each host has one address of the networks below and reaches the others on the link; there is no default route and no
connection to the machine's own network, nor to another `Network`. The networks are those of MaxMind's public test
databases.
"""

import itertools
import os
import re
import signal
import subprocess
from pathlib import Path

NETWORKS = [
    "2.2.3.0/24",
    "2.3.3.0/24",
    "2.125.160.216/29",
    "67.43.156.0/24",
    "81.2.69.0/24",
    "89.160.20.0/24",
    "149.101.100.0/28",
    "175.16.199.0/24",
    "202.196.224.0/20",
    "214.0.0.0/23",
    "214.1.1.0/24",
    "214.78.120.0/22",
    "216.160.83.56/29",
    "2001:218::/32",
    "2001:230::/32",
    "2001:238::/32",
    "2001:240::/32",
    "2a02:cf40::/29",
    "2a02:d280::/29",
]
# Hosts without an address of their own choice are spread over these, by family, or all in one network, whose prefix has
# so many bits.
FREE = {
    4: ["2.2.3.{}", "67.43.156.{}", "81.2.69.{}", "89.160.20.{}", "175.16.199.{}", "202.196.224.{}", "214.1.1.{}"],
    "one network": ["81.2.69.{}"],
    "one network of IPv6": ["2001:218::{}"],
    6: ["2001:218::{}", "2001:230::{}", "2001:238::{}", "2001:240::{}", "2a02:cf40::{}", "2a02:d280::{}"],
}
ONE_NETWORK = {"one network": 24, "one network of IPv6": 64}
MULTICAST = "224.0.0.0/4"
UNREACHABLE_IPV4 = "198.18.0.1"

PREFIX = "swarmtally"
STOP_S = 10
# No process outlives the thread that started it, however that ends. preexec_fn is not for programs with threads.
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def remove_abandoned():
    """Deletes namespaces whose test run is dead."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    for name, pid in re.findall(rf"^({PREFIX}-(\d+)-\S+)", listed, re.MULTILINE):
        if not Path("/proc", pid).exists():
            ip("netns", "del", name)


def bracketed(address):
    """The address as URLs and endpoints write it."""
    return f"[{address}]" if ":" in address else address


class Host:
    """One namespace with one address, and the processes started in it."""

    def __init__(self, namespace, address):
        self.namespace = namespace
        self.address = address
        self.processes = []

    def start(self, arguments, **options):
        """Starts a program on this host; it is stopped with the network at the latest."""
        process = subprocess.Popen(
            [*DIES_WITH_US, "ip", "netns", "exec", self.namespace, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            **options,
        )
        self.processes.append(process)
        return process

    def run(self, arguments):
        """Runs a program on this host to its end."""
        command = ["ip", "netns", "exec", self.namespace, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def hide_behind_nat(self):
        """Drops what others begin, as a router that translates addresses does: they answer this host, never call it.

        A datagram's answer passes for two minutes, as is usual; ICMP passes so that errors are heard.
        """
        rules = """
            table inet behind_nat {
                chain input {
                    type filter hook input priority 0; policy drop;
                    iifname lo accept
                    ct state established,related accept
                    meta l4proto { icmp, ipv6-icmp } accept
                }
            }
        """
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, "nft", "-f", "-"], input=rules, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def stop(self):
        running = [process for process in self.processes if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Network:
    """A bridge and the hosts on it; a context manager that always cleans up."""

    def __init__(self, name, kind=4):
        self.prefix = f"{PREFIX}-{os.getpid()}-{name}"
        self.switch = f"{self.prefix}-switch"
        self.hosts = {}
        self.free = (pattern.format(number) for number in itertools.count(10) for pattern in FREE[kind])
        self.prefix_bits = ONE_NETWORK.get(kind)

    def __enter__(self):
        ip("netns", "add", self.switch)
        self.configure(self.switch, ["link add bridge type bridge", "link set bridge up"])
        return self

    @staticmethod
    def configure(namespace, commands):
        batch = "".join(f"{command}\n" for command in commands)
        done = subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=batch, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def host(self, name, address=None):
        assert name not in self.hosts, f"two hosts named {name}"
        address = address or next(self.free)
        namespace, port = f"{self.prefix}-{name}", f"port{len(self.hosts)}"
        ip("netns", "add", namespace)
        self.hosts[name] = Host(namespace, address)
        self.configure(
            self.switch,
            [
                f"link add {port} type veth peer name eth0 netns {namespace}",
                f"link set {port} master bridge up",
            ],
        )
        # An address of IPv6 may be used at once: nobody else has it.
        whole, how = (128, "nodad") if ":" in address else (32, "noprefixroute")
        length = self.prefix_bits or whole
        self.configure(
            namespace,
            [
                "link set lo up",
                "link set eth0 up",
                f"address add {address}/{length} dev eth0 {how}",
                # Without an address of IPv4 programs find no 127.0.0.1 to listen on; nothing is reached with this one.
                *([f"address add {UNREACHABLE_IPV4}/32 dev eth0"] if ":" in address else []),
                *(f"route add {network} dev eth0 scope link" for network in NETWORKS if ":" not in network),
                *(f"route add {network} dev eth0" for network in NETWORKS if ":" in network),
                f"route add {MULTICAST} dev eth0 scope link",
            ],
        )
        return self.hosts[name]

    def __exit__(self, *_):
        # All are asked before any is waited for.
        for host in self.hosts.values():
            for process in host.processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
        for host in self.hosts.values():
            host.stop()
            ip("netns", "del", host.namespace)
        ip("netns", "del", self.switch)
