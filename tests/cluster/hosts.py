#!/usr/bin/env python3
"""A cluster on one machine: hosts made of namespaces, joined by a switch.

    python3 tests/cluster/hosts.py [--hosts N] [--rate RATE] [--shm SIZE] [--] COMMAND...

runs COMMAND on the login node of such a cluster, with host1 .. hostN beside it. Each host has its
own network, host name, processes and /dev/shm; files are shared, as over a network file system. The
network is a veth pair a host and a bridge on the login node; `tbf` shapes every port to RATE, both
ways. In COMMAND, `mpirun -H host1:2,host2:1 ...` starts ranks there over TCP: agent.sh stands in
for ssh, and OMPI_MCA_plm_rsh_agent names it.

All of it lives in namespaces that end with the process that made them, however it ends: nothing is
left over, and nothing outside is touched. It takes iproute2 and root (in a container, one that may
make namespaces).
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = os.path.join(HERE, "agent.sh")
LOGIN = "10.77.0.254"
INSIDE = "CONVOY_CLUSTER"
NAMESPACES = ["--net", "--uts", "--ipc", "--mount", "--pid"]
UNSHARE = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc",
           "--propagation", "private"]
# What the first process of a host does: it says that it is there, and takes in orphans for ever.
FIRST = """set -e
hostname "$1"
mount -t tmpfs -o "size=$2" tmpfs /dev/shm
ip link set lo up
echo ready
while :; do sleep 1000 & wait; done"""


class Impossible(Exception):
    """Why there can be no such cluster here."""


def run(*command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise Impossible(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def enter():
    """Goes on as the first process of a login node: namespaces of its own, which end with it."""
    if os.environ.get(INSIDE) == "1" and os.getpid() == 1:
        run("hostname", "login")
        run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")
        run("ip", "link", "set", "lo", "up")
        return
    for tool, package in (("unshare", "util-linux"), ("nsenter", "util-linux"),
                          ("ip", "iproute2"), ("tc", "iproute2")):
        if shutil.which(tool) is None:
            raise Impossible(f"{tool} is not installed (package {package})")
    run(*UNSHARE, "true")
    os.environ[INSIDE] = "1"
    os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, *sys.argv])


class Host:
    def __init__(self, number, switch, shm):
        self.name = f"host{number}"
        self.address = f"10.77.0.{number}"
        self.port = f"port{number}"
        self.maker = subprocess.Popen([*UNSHARE, "bash", "-c", FIRST, "bash", self.name, shm],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        with self.maker.stdout as ready:
            if ready.readline() != "ready\n":
                raise Impossible(f"{self.name} does not start")
        maker = f"/proc/{self.maker.pid}/task/{self.maker.pid}"
        with open(f"{maker}/children", encoding="ascii") as file:
            self.first = file.read().split()[0]
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0",
            "netns", self.first)
        run("ip", "link", "set", self.port, "master", switch, "up")
        self.inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")

    def command(self, *command):
        """What the login node types to start a command on the host."""
        return ["nsenter", "--target", self.first, *NAMESPACES, f"--wd={os.getcwd()}", *command]

    def launch(self, *command):
        """What starts mpirun on the host: in its network and under its name. The processes that it
        sees are those of the login node, or agent.sh would not find other hosts from there."""
        return ["nsenter", f"--net=/proc/{self.first}/ns/net", f"--uts=/proc/{self.first}/ns/uts",
                *command]

    def inside(self, *command):
        return run(*self.command(*command))

    def shape(self, rate):
        """Both directions of the link carry no more than `rate`, as tc(8) writes it: "1gbit"."""
        shaper = ["root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"]
        run("tc", "qdisc", "replace", "dev", self.port, *shaper)
        self.inside("tc", "qdisc", "replace", "dev", "eth0", *shaper)

    def bytes_sent(self):
        """What has come from the host to the switch."""
        port = json.loads(run("ip", "-json", "-stats", "link", "show", self.port))[0]
        return port["stats64"]["rx"]["bytes"]

    def cut(self):
        """Pulls the plug of the network: nothing says so to anyone."""
        run("ip", "link", "set", self.port, "down")

    def kill(self):
        """All processes die at once."""
        self.maker.kill()
        self.maker.wait()


class Cluster:
    """The hosts beside the login node, which the calling process is since enter()."""

    def __init__(self, hosts, rate=None, shm="64m"):
        self.folder = tempfile.mkdtemp(prefix="convoy-hosts-")
        self.host = []
        try:
            run("ip", "link", "add", "switch", "type", "bridge")
            run("ip", "address", "add", f"{LOGIN}/24", "dev", "switch")
            run("ip", "link", "set", "switch", "up")
            for number in range(1, hosts + 1):
                host = Host(number, "switch", shm)
                self.host.append(host)
                self.write(host.name, host.first)
                if rate is not None:
                    host.shape(rate)
        except BaseException:
            self.close()
            raise

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(text + "\n")

    def close(self):
        """Links go with their namespaces, but only some time later, and another cluster may
        follow."""
        for host in self.host:
            host.kill()
            subprocess.run(["ip", "link", "delete", host.port], stderr=subprocess.DEVNULL,
                           check=False)
        subprocess.run(["ip", "link", "delete", "switch"], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def environment(self):
        """For mpirun on the login node. It finds a host that is cut off within seconds; left alone,
        Open MPI takes five minutes. It must do so before the heartbeat does: once MPI_Abort has sent
        word to that host, TCP waits for an answer, and no keepalive looks any more."""
        return dict(os.environ, CONVOY_HOSTS=self.folder, OMPI_MCA_plm_rsh_agent=AGENT,
                    OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                    OMPI_MCA_oob_tcp_keepalive_time="1", OMPI_MCA_oob_tcp_keepalive_intvl="1",
                    OMPI_MCA_oob_tcp_keepalive_probes="3",
                    OMPI_MCA_hwloc_base_binding_policy="none")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--rate", help="of every link, as tc(8) writes it; else as it comes")
    parser.add_argument("--shm", default="64m", help="size of /dev/shm on a host")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    options = parser.parse_args()
    enter()
    with Cluster(options.hosts, options.rate, options.shm) as cluster:
        code = subprocess.run(options.command, env=cluster.environment(), check=False).returncode
        for host in cluster.host:
            print(f"{host.name} sent {host.bytes_sent()} bytes", file=sys.stderr)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Impossible as why:
        sys.exit(f"hosts.py: {why}")
