"""Slurm on the hosts of hosts.py: slurmctld on the login node, slurmd on every host, Munge on all.

It takes Debian's slurm-wlm and munge. Nothing of the system's own Slurm is read or written: all
files are in a folder of their own, and the daemons end with the namespaces.
"""
import os
import shutil
import subprocess
import tempfile
import time

import hosts

# Two cores stand for CORES: what is computed is small, and Slurm would give out no more.
CORES = 4
CONFIGURATION = """\
ClusterName=convoy
SlurmctldHost=login({login})
AuthType=auth/munge
AuthInfo=socket={socket}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=5
SchedulerParameters=sched_interval=5
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# Every host has its own /dev/shm, and so its own Munge.
SOCKET = "/dev/shm/munge.socket"
PATIENCE = 60  # seconds


def find():
    """Fails where a part of Slurm is not installed."""
    for tool, package in (("slurmctld", "slurmctld"), ("slurmd", "slurmd"),
                          ("sbatch", "slurm-client"), ("munged", "munge")):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            raise hosts.Impossible(f"{tool} is not installed (package {package})")


class Slurm:
    def __init__(self, cluster):
        self.cluster = cluster
        self.folder = tempfile.mkdtemp(prefix="convoy-slurm-")
        self.daemons = []
        try:
            self.configure()
            self.make_key()
            self.start(self.munge("login"))
            for host in cluster.host:
                self.start(host.command(*self.munge(host.name)))
            self.wait(lambda: os.path.exists(SOCKET), "Munge")
            self.start(["/usr/sbin/slurmctld", "-D", "-f", self.path("slurm.conf")])
            for host in cluster.host:
                self.start(host.command("/usr/sbin/slurmd", "-D", "-N", host.name,
                                        "-f", self.path("slurm.conf")))
            self.wait(lambda: self.idle() == len(cluster.host), "idle hosts")
        except BaseException:
            self.close()
            raise

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self):
        os.mkdir(self.path("state"))
        nodes = "\n".join(f"NodeName={host.name} NodeAddr={host.address} CPUs={CORES} "
                          f"CoresPerSocket={CORES} State=UNKNOWN" for host in self.cluster.host)
        with open(self.path("slurm.conf"), "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(folder=self.folder, login=hosts.LOGIN,
                                            socket=SOCKET, nodes=nodes))
        # Hosts share /tmp here, which PMIx takes for its own.
        with open(self.path("mpi.conf"), "w", encoding="ascii") as file:
            file.write("PMIxCliTmpDirBase=/dev/shm\n")

    def make_key(self):
        with open(self.path("munge.key"), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.urandom(128))

    def munge(self, host):
        return ["/usr/sbin/munged", "--foreground", "--force", f"--socket={SOCKET}",
                f"--key-file={self.path('munge.key')}",
                f"--pid-file={self.path(f'munge-{host}.pid')}",
                f"--log-file={self.path(f'munge-{host}.log')}",
                f"--seed-file={self.path(f'munge-{host}.seed')}"]

    def start(self, command):
        with open(self.path("daemons.log"), "ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment(),
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def environment(self):
        """For sbatch and its like on the login node, and so for jobs."""
        return dict(os.environ, SLURM_CONF=self.path("slurm.conf"))

    def run(self, *command, folder=None):
        done = subprocess.run(command, env=self.environment(), text=True, stdout=subprocess.PIPE,
                              cwd=folder, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{self.logs()}")
        return done.stdout.strip()

    def idle(self):
        done = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], env=self.environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return done.stdout.split().count("idle")

    def wait(self, what, name):
        limit = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > limit:
                raise RuntimeError(f"Slurm: no {name} after {PATIENCE} s\n{self.logs()}")
            time.sleep(0.1)

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(self.path(name), encoding="utf-8", errors="replace") as file:
                    text += f"{name}:\n" + "".join(file.readlines()[-30:])
        return text

    def close(self):
        for daemon in reversed(self.daemons):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
