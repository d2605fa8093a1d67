#!/usr/bin/env python3
"""The scripts of configs/jobs, with Slurm's and PBS's own commands replaced by ones that take notes:
a job near its time limit saves, exits with 75 and is queued again; the queued job goes on. (With a
real Slurm: tests/cluster.)"""
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import bench  # noqa: E402

JOBS = os.path.join(HERE, "..", "..", "configs", "jobs")
NOTE = '#!/bin/sh\necho "$0 $*" >> "$NOTES"\n'
LONG = "train.epochs=100000"
MPIRUN = '#!/bin/sh\necho "$0 $*" >> "$NOTES"\nwhile [ "$1" != convoy ]; do shift; done\nexec "$MPIRUN" -n 2 "$@" --oversubscribe\n'


class JobScripts(bench.Bench):
    def setUp(self):
        super().setUp()
        for name, text in (("scontrol", NOTE), ("qsub", NOTE), ("mpirun", MPIRUN)):
            self.write(f"bin/{name}", text)
            os.chmod(self.path("bin", name), 0o755)
        os.symlink(bench.PROGRAM, self.path("bin/convoy"))

    def settings(self, **more):
        found = subprocess.run(["which", "mpirun"], text=True, stdout=subprocess.PIPE, check=True)
        return dict(bench.environment(**more), NOTES=self.path("notes"),
                    MPIRUN=found.stdout.strip(), PATH=self.path("bin") + ":" + os.environ["PATH"])

    def wait_for_steps(self, job):
        limit = time.monotonic() + 60
        metrics = self.path("out/metrics.jsonl")
        while not (os.path.exists(metrics) and b'"step"' in self.read("out/metrics.jsonl")):
            self.assertIsNone(job.poll(), "ended before its first step")
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)

    def test_slurm(self):
        command = ["bash", os.path.join(JOBS, "slurm.sh"), "recipe.yaml", "out", LONG]
        settings = self.settings(SLURM_JOB_ID="77")
        job = subprocess.Popen(command, cwd=self.folder, env=settings)
        self.wait_for_steps(job)
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(job.wait(60), 75)
        self.assertIn("scontrol requeue 77", self.read("notes").decode())
        self.assertEqual(len(os.listdir(self.path("out/checkpoints"))) > 0, True)
        self.goes_on(command, settings)

    def test_slurm_srun_without_pmix(self):
        self.write("bin/srun", "#!/bin/sh\necho 'MPI plugin types are... none pmi2'\n")
        os.chmod(self.path("bin/srun"), 0o755)
        done = subprocess.run(["bash", os.path.join(JOBS, "slurm-srun.sh"), "recipe.yaml", "out"],
                              cwd=self.folder, env=self.settings(SLURM_JOB_ID="77"), text=True,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("use slurm.sh", done.stderr)

    def goes_on(self, command, settings):
        """The same command again resumes: its first step is not the first of all."""
        before = len(self.read("out/metrics.jsonl").splitlines())
        job = subprocess.Popen(command, cwd=self.folder, env=settings)
        limit = time.monotonic() + 60
        while len(self.read("out/metrics.jsonl").splitlines()) <= before + 4:
            self.assertIsNone(job.poll())
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        self.assertEqual(job.wait(60), 75)

    def run_of_array(self, number, **more):
        return subprocess.run(
            ["bash", os.path.join(JOBS, "slurm.sh"), "recipe.yaml", "out-", "train.epochs=1"],
            cwd=self.folder, text=True, stderr=subprocess.PIPE, timeout=60, check=False,
            env=self.settings(SLURM_JOB_ID="77", SLURM_ARRAY_TASK_ID=str(number), **more))

    def test_slurm_array(self):
        self.assertEqual(self.run_of_array(2).returncode, 0)
        self.assertIn("seed: 2\n", self.read("out-2/recipe.yaml").decode())
        self.write("sweep.txt", "train.clip_norm=3 'train.schedule={constant: {rate: 0.5}}'\n"
                                "train.clip_norm=5\n")
        for number, clip in ((1, 3), (2, 5)):
            shutil.rmtree(self.path(f"out-{number}"), ignore_errors=True)
            self.assertEqual(self.run_of_array(number, SWEEP="sweep.txt").returncode, 0)
            self.assertIn(f"clip_norm: {clip}\n", self.read(f"out-{number}/recipe.yaml").decode())
        self.assertIn("rate: 0.5\n", self.read("out-1/recipe.yaml").decode())
        done = self.run_of_array(3, SWEEP="sweep.txt")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("line 3 of sweep.txt holds no settings", done.stderr)

    def test_pbs(self):
        text = self.read("recipe.yaml").decode()
        self.write("recipe.yaml", text.replace("epochs: 2", LONG.replace("train.", "")
                                               .replace("=", ": ")))
        settings = self.settings(PBS_O_WORKDIR=self.folder, RECIPE="recipe.yaml", RUN="out",
                                 SECONDS_TO_RUN="15", PBS_NODEFILE=self.path("nodes"))
        job = subprocess.Popen(["bash", os.path.join(JOBS, "pbs.sh")], cwd=self.folder,
                               env=settings)
        self.assertEqual(job.wait(60), 75)
        notes = self.read("notes").decode()
        script = self.path("configs/jobs/pbs.sh")
        self.assertIn(f"qsub -v RECIPE=recipe.yaml,RUN=out,SECONDS_TO_RUN=15,SCRIPT={script} {script}",
                      notes)
        self.assertIn(f"mpirun --hostfile {self.path('nodes')} convoy train", notes)
        self.assertEqual(len(os.listdir(self.path("out/checkpoints"))) > 0, True)
        # What was queued begins with what it was given, and goes on.
        before = len(self.read("out/metrics.jsonl").splitlines())
        job = subprocess.Popen(["bash", os.path.join(JOBS, "pbs.sh")], cwd=self.folder,
                               env=dict(settings, SECONDS_TO_RUN="10"))
        self.assertEqual(job.wait(60), 75)
        lines = self.read("out/metrics.jsonl").splitlines()
        self.assertGreater(len(lines), before)
        self.assertEqual(sum(b'"step":1,' in line and b'"event":"step"' in line for line in lines), 1)
        self.assertEqual(self.read("notes").decode().count("qsub"), 2)

    def test_pbs_that_ends_is_not_queued_again(self):
        settings = self.settings(PBS_O_WORKDIR=self.folder, RECIPE="recipe.yaml", RUN="out",
                                 PBS_NODEFILE=self.path("nodes"))
        done = subprocess.run(["bash", os.path.join(JOBS, "pbs.sh")], cwd=self.folder,
                              env=settings, timeout=60, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("qsub", self.read("notes").decode())


if __name__ == "__main__":
    bench.main()
