"""Hosts with addresses of their own: network namespaces on one bridge, with no way out.

Each host has one address of the networks below and reaches the others on the link; there is no default route and no
connection to the machine's own network. The networks are those of MaxMind's public test databases.
"""

import ctypes
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
]

PREFIX = "swarmtally"
STOP_S = 10
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    """For preexec_fn: no process outlives the test run, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def remove_abandoned():
    """Deletes namespaces whose test run is dead."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    for name, pid in re.findall(rf"^({PREFIX}-(\d+)-\S+)", listed, re.MULTILINE):
        if not Path("/proc", pid).exists():
            ip("netns", "del", name)


class Host:
    """One namespace with one address, and the processes started in it."""

    def __init__(self, namespace, address):
        self.namespace = namespace
        self.address = address
        self.processes = []

    def start(self, arguments, **options):
        """Starts a program on this host; it is stopped with the network at the latest."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
            **options,
        )
        self.processes.append(process)
        return process

    def run(self, arguments):
        """Runs a program on this host to its end."""
        command = ["ip", "netns", "exec", self.namespace, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

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

    def __init__(self):
        self.switch = f"{PREFIX}-{os.getpid()}-switch"
        self.hosts = {}

    def __enter__(self):
        remove_abandoned()
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        return self

    def host(self, name, address):
        assert name not in self.hosts, f"two hosts named {name}"
        namespace = f"{PREFIX}-{os.getpid()}-{name}"
        port = f"port{len(self.hosts)}"
        ip("netns", "add", namespace)
        self.hosts[name] = Host(namespace, address)
        ip("-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("-n", self.switch, "link", "set", port, "master", "bridge", "up")
        ip("-n", namespace, "address", "add", f"{address}/32", "dev", "eth0")
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "link", "set", "eth0", "up")
        for network in NETWORKS:
            ip("-n", namespace, "route", "add", network, "dev", "eth0", "scope", "link")
        return self.hosts[name]

    def __exit__(self, *_):
        # All are asked before any is waited for.
        for host in self.hosts.values():
            for process in host.processes:
                if process.poll() is None:
                    process.terminate()
        for host in self.hosts.values():
            host.stop()
            ip("netns", "del", host.namespace)
        ip("netns", "del", self.switch)
