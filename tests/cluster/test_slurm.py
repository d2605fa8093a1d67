#!/usr/bin/env python3
"""A real Slurm on hosts from namespaces (slurm.py): the scripts of configs/jobs, by mpirun and by
srun. Slurm signals a job that nears its time limit, it saves and is queued again, goes on, and ends
with the checkpoint of a run that was never stopped."""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "trainer", "same_bits")]

import hosts  # noqa: E402
import lab  # noqa: E402
import slurm  # noqa: E402

JOBS = os.path.join(HERE, "..", "..", "configs", "jobs")
PROGRAM = os.path.abspath(os.environ.get(
    "CONVOY", os.path.join(HERE, "..", "..", "build", "release", "convoy")))
HOSTS = 2
# Few checkpoints: each waits for the disk.
EPOCHS = ["train.epochs=30", "checkpoint.every_epochs=15", "train.validate_every_epochs=15"]
# Over links of this rate the epochs take minutes, so that the signal comes first.
SLOW, FAST = "1mbit", "10gbit"
PATIENCE = 240  # seconds
# Slurm signals up to a minute earlier than it was told.
LIMIT = ["--time=2", "--signal={}USR1@75"]
SIZE = [f"--nodes={HOSTS}", "--ntasks-per-node=1", "--cpus-per-task=1"]


class Slurm(unittest.TestCase):
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="convoy-cluster-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.lab = lab.Lab(PROGRAM, cls.folder)
        cls.wanted = cls.lab.train("alone", lab.PLAIN._replace(isa=cls.lab.isas[-1]),
                                   *EPOCHS)
        cls.cluster = hosts.Cluster(HOSTS)
        cls.addClassCleanup(cls.cluster.close)
        os.environ.update(cls.settings())
        cls.slurm = slurm.Slurm(cls.cluster)
        cls.addClassCleanup(cls.slurm.close)

    @classmethod
    def settings(cls):
        """What the jobs find in their environment."""
        return {"PATH": f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}",
                "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                "OMPI_MCA_mpi_yield_when_idle": "1", "OMP_WAIT_POLICY": "passive"}

    def submit(self, script, run, to_shell, *more):
        limit = [word.format("B:" if to_shell else "") for word in LIMIT]
        said = self.slurm.run("sbatch", *SIZE, *limit, *more, f"--output={run}.out",
                              os.path.join(JOBS, script), "recipe.yaml", run, "train.threads=1",
                              "--oversubscribe", *EPOCHS, folder=self.folder)
        return re.search(r"Submitted batch job (\d+)", said).group(1)

    def job(self, number):
        """What Slurm knows of a job."""
        return dict(re.findall(r"(\S+?)=(\S*)", self.slurm.run("scontrol", "show", "job", number)))

    def wait(self, number, what, run):
        limit = time.monotonic() + PATIENCE
        while not what(self.job(number)):
            if time.monotonic() > limit:
                self.fail(self.told(number, run))
            time.sleep(0.5)

    def told(self, number, run):
        """All that is known of a job, for who asks why it failed."""
        return f"{self.job(number)}\n{self.slurm.logs()}\n{self.output(run)}"

    def output(self, run):
        path = os.path.join(self.folder, f"{run}.out")
        if not os.path.exists(path):
            return "no output"
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def test_jobs_near_their_limit(self):
        for host in self.cluster.host:
            host.shape(SLOW)
        jobs = {run: self.submit(script, run, to_shell) for run, script, to_shell in (
            ("by-mpirun", "slurm.sh", True), ("by-srun", "slurm-srun.sh", False))}
        for run, number in jobs.items():
            self.wait(number, lambda job: job["Restarts"] == "1" or job["JobState"] == "FAILED",
                      run)
            self.assertEqual(self.job(number)["Restarts"], "1", self.told(number, run))
            self.assertIn("SIGUSR1", self.output(run))
            stopped = lab.last_step(self.lab.path(run, "metrics.jsonl"))
            print(f"{run}: stopped at step {stopped}")
        for host in self.cluster.host:
            host.shape(FAST)
        for run, number in jobs.items():
            # A job that was queued again may not start for two minutes.
            self.wait(number, lambda job: job["JobState"] != "COMPLETING", run)
            self.slurm.run("scontrol", "update", f"JobId={number}", "StartTime=now")
        for run, number in jobs.items():
            self.wait(number, lambda job: job["JobState"] in ("COMPLETED", "FAILED"), run)
            self.assertEqual(self.job(number)["JobState"], "COMPLETED", self.told(number, run))
            found = self.lab.checkpoint(run)
            self.assertTrue(lab.same_files(self.wanted, found), f"{found}\n{self.output(run)}")

    def test_an_array_takes_its_settings_from_a_file(self):
        with open(os.path.join(self.folder, "sweep.txt"), "w", encoding="ascii") as file:
            file.write("train.batch=64\n'train.seed=77'\n")  # what all runs have, and another
        number = self.submit("slurm-srun.sh", "sweep-", False, "--array=1-2",
                             "--export=ALL,SWEEP=sweep.txt")
        for task in ("1", "2"):
            self.wait(f"{number}_{task}",
                      lambda job: job["JobState"] in ("COMPLETED", "FAILED"), "sweep-")
        self.assertEqual([lab.same_files(self.wanted, self.lab.checkpoint(f"sweep-{task}"))
                          for task in ("1", "2")], [True, False], self.output("sweep-"))


if __name__ == "__main__":
    try:
        hosts.enter()
        slurm.find()
    except hosts.Impossible as why:
        print(f"skipped: there can be no Slurm here: {why}")
        sys.exit(77)
    unittest.main(verbosity=2)
