#!/usr/bin/env python3
"""Training over several hosts (hosts.py): the bits of one rank, however the ranks lie on the hosts.
When a host is cut off or dies the job ends with a line that names it, and goes on with the same
bits on those that are left."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "trainer", "same_bits")]

import evidence  # noqa: E402
import hosts  # noqa: E402
import lab  # noqa: E402

PROGRAM = os.path.abspath(os.environ.get(
    "CONVOY", os.path.join(HERE, "..", "..", "build", "release", "convoy")))
HOSTS_SCRIPT = os.path.join(HERE, "..", "..", "configs", "jobs", "hosts.sh")
HOSTS = 4
SKIPPED = 77
# A step moves some 1.5 MB, so that a run over links of this rate cannot end before it is cut.
SLOW = "20mbit"
FAST = "10gbit"
PATIENCE = 120  # seconds; nine are usual, and TCP alone would take a quarter of an hour
# Seconds of silence, of which Convoy's line tells: six beats, then up to one until it looks again
# and two in which the thread that looks may be late; if it is later it begins anew.
SILENCE = (6, 9)
# Ranks on each host.
PLACES = ((1, 1), (2, 2), (1, 1, 1), (2, 1), (1, 2, 2), (1, 1, 1, 1), (2, 1, 1, 3))


class Hosts(unittest.TestCase):
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="convoy-cluster-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.lab = lab.Lab(PROGRAM, cls.folder)
        cls.wanted = cls.lab.train("alone", lab.PLAIN)

    def setUp(self):
        self.cluster = hosts.Cluster(HOSTS)
        self.addCleanup(self.cluster.close)

    def command(self, run, places, *more):
        """`places`: (host's number, ranks) of each host."""
        where = ",".join(f"host{number}:{ranks}" for number, ranks in places)
        return ["mpirun", "-H", where, "-x", "OMP_WAIT_POLICY=passive", PROGRAM, "train",
                "recipe.yaml", "--run", run, "--oversubscribe", "train.threads=1", *more]

    def environment(self):
        return dict(self.cluster.environment(), OMPI_MCA_mpi_yield_when_idle="1",
                    OMPI_MCA_btl_vader_single_copy_mechanism="none")

    def run_job(self, command, settings):
        done = subprocess.run(command, cwd=self.folder, text=True, env=settings,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=lab.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, f"{command}:\n{done.stdout}")

    def train(self, run, places, *more):
        self.run_job(self.command(run, places, *more), self.environment())
        return self.lab.checkpoint(run)

    def test_bits_are_those_of_one_rank(self):
        vector = evidence.weight_bytes(self.wanted)
        for ranks in PLACES:
            places = list(enumerate(ranks, 1))
            with self.subTest(ranks_on_hosts=ranks):
                before = sum(host.bytes_sent() for host in self.cluster.host)
                found = self.train("run-" + "-".join(map(str, ranks)), places)
                self.assertTrue(lab.same_files(self.wanted, found), found)
                crossed = sum(host.bytes_sent() for host in self.cluster.host) - before
                steps = lab.EPOCHS * (lab.PICTURES // lab.BATCH)
                self.assertGreater(crossed, 2 * (len(ranks) - 1) * vector * steps)
                print(f"{ranks} ranks on hosts: the same bits, {crossed} bytes over the links")

    def start(self, run, on_host1):
        """Starts mpirun on the login node, where by its keepalive it looks for lost hosts, or on
        host1, where it does not. A file takes what is said: who was cut off may hold it open."""
        places = [(host, 1) for host in range(1, HOSTS + 1)]
        command, settings = self.command(run, places), self.environment()
        if on_host1:
            command = self.cluster.host[0].launch(*command)
            settings = {key: value for key, value in settings.items() if "keepalive" not in key}
        with open(self.lab.path(f"{run}.out"), "wb") as output:
            return subprocess.Popen(command, cwd=self.folder, env=settings,
                                    stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT)

    def output(self, run):
        with open(self.lab.path(f"{run}.out"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, job, run):
        """The exit code of a job that must end by itself."""
        try:
            return job.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()
            self.fail(f"{run}: still there after {PATIENCE} s:\n{self.output(run)}")

    def lose(self, run, lose, on_host1=False):
        """Trains on slow hosts, and after the first checkpoint has `lose` lose the last one;
        returns what was said, and the exit code."""
        for host in self.cluster.host:
            host.shape(SLOW)
        job = self.start(run, on_host1)
        limit = time.monotonic() + lab.TIMEOUT
        folder = self.lab.path(run, "checkpoints")
        while not (os.path.exists(folder) and self.lab.checkpoints(run)):
            self.assertIsNone(job.poll(), f"no first checkpoint: {self.output(run)}")
            self.assertLess(time.monotonic(), limit, "no checkpoint")
            time.sleep(0.02)
        lost = time.monotonic()
        lose(self.cluster.host[-1])
        code = self.end(job, run)
        seconds = time.monotonic() - lost
        output = self.output(run)
        self.assertNotIn(code, (0, 75), output)
        self.assertLess(lab.last_step(self.lab.path(run, "metrics.jsonl")), lab.STEPS, output)
        print(f"{run}: ended after {seconds:.1f} s")
        return output, code

    def goes_on(self, run):
        """As the host file says, from which the lost host was taken."""
        for host in self.cluster.host[:-1]:
            host.shape(FAST)
        with open(self.lab.path("hosts.txt"), "w", encoding="ascii") as file:
            file.write("host1 slots=2\nhost2 slots=1\nhost3 slots=1\n")
        settings = self.environment()
        settings["PATH"] = f"{os.path.dirname(PROGRAM)}:{settings['PATH']}"
        self.run_job(["bash", HOSTS_SCRIPT, "hosts.txt", "recipe.yaml", run, "--oversubscribe",
                      "train.threads=1"], settings)
        found = self.lab.checkpoint(run)
        self.assertTrue(lab.same_files(self.wanted, found), found)
        with open(self.lab.path(run, "log.txt"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"(?i)resumed|goes on|going on")

    def test_host_cut_off(self):
        # Nobody but the heartbeat looks for it. mpirun, told to end the job, waits for the answer
        # of the lost host, until it is killed.
        output, code = self.lose("cut", hosts.Host.cut, on_host1=True)
        told = re.findall(r"^convoy:.*", output, re.M)
        self.assertEqual(len(told), 1, output)
        found = re.search(r"rank 3 \(host4, .*rank 0 \(host1\) .* for ([0-9.]+) s$", told[0])
        self.assertTrue(found, output)
        self.assertTrue(SILENCE[0] <= float(found[1]) <= SILENCE[1], told)
        self.assertEqual(code, -signal.SIGKILL, output)
        self.goes_on("cut")

    def test_host_cut_off_with_mpirun_elsewhere(self):
        # By its keepalive mpirun looks for it too: either or both say so, once each.
        output, _ = self.lose("cut-elsewhere", hosts.Host.cut)
        told = re.findall(r"^(convoy:|.*Remote daemon:).*\bhost4\b", output, re.M)
        self.assertTrue(told, output)
        self.assertEqual(len(told), len(set(told)), told)
        self.goes_on("cut-elsewhere")

    def test_host_killed(self):
        # The first to notice is the launch agent, and mpirun ends the others. It is ssh that says
        # which host closed, and agent.sh in its place; Convoy, where it says anything (a beat may
        # be missed by then), names no other.
        output, _ = self.lose("killed", hosts.Host.kill)
        self.assertRegex(output, r"(?m)^Connection to host4 closed")
        told = re.findall(r"^convoy:.*", output, re.M)
        self.assertEqual(told, re.findall(r"^convoy: rank 3 \(host4, .*", output, re.M)[:1])
        self.goes_on("killed")


if __name__ == "__main__":
    try:
        hosts.enter()
    except hosts.Impossible as why:
        print(f"skipped: hosts cannot be made here: {why}")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
