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

    def has_resources(self, walltime, select="2:ncpus=32:mpiprocs=2"):
        """qstat tells of the job, and folds a long line as PBS does."""
        self.write("bin/qstat", f"""#!/bin/sh
[ "$*" = "-f 12.server" ] || exit 1
printf 'Job Id: 12.server\\n    Job_Name = convoy\\n'
printf '    Resource_List.select = {select[:10]}\\n\\t{select[10:]}\\n'
printf '    Resource_List.walltime = {walltime}\\n    substate = 42\\n'
""")
        os.chmod(self.path("bin/qstat"), 0o755)

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

    def pbs(self, **more):
        """What qsub starts, and has in its environment."""
        settings = self.settings(PBS_O_WORKDIR=self.folder, PBS_JOBID="12.server",
                                 RECIPE="recipe.yaml", RUN="out", PBS_NODEFILE=self.path("nodes"),
                                 **more)
        return subprocess.run(["bash", os.path.join(JOBS, "pbs.sh")], cwd=self.folder, text=True,
                              env=settings, stderr=subprocess.PIPE, timeout=60, check=False)

    def test_pbs(self):
        self.has_resources("00:00:30")
        clip = "train.schedule={cosine: {rate: 0.1, warmup_steps: 20}}"
        self.write("more.txt", f"{LONG}\n'{clip}'\n")
        done = self.pbs(SETTINGS="more.txt")
        self.assertEqual(done.returncode, 75, done.stderr)
        notes = self.read("notes").decode()
        script = self.path("configs/jobs/pbs.sh")
        self.assertIn("qsub -l select=2:ncpus=32:mpiprocs=2 -l walltime=00:00:30 -v "
                      f"RECIPE=recipe.yaml,RUN=out,SCRIPT={script},SETTINGS=more.txt {script}\n",
                      notes)
        self.assertIn(f"mpirun --hostfile {self.path('nodes')} --bind-to none convoy train "
                      f"recipe.yaml --run out --resume {LONG} {clip}\n", notes)
        self.assertIn("warmup_steps: 20\n", self.read("out/recipe.yaml").decode())
        self.assertEqual(len(os.listdir(self.path("out/checkpoints"))) > 0, True)
        # What was queued begins with what it was given, and goes on.
        before = len(self.read("out/metrics.jsonl").splitlines())
        self.assertEqual(self.pbs(SETTINGS="more.txt").returncode, 75)
        lines = self.read("out/metrics.jsonl").splitlines()
        self.assertGreater(len(lines), before)
        self.assertEqual(sum(b'"step":1,' in line and b'"event":"step"' in line for line in lines), 1)
        self.assertEqual(self.read("notes").decode().count("qsub"), 2)

    def time_of(self, **more):
        """The seconds that timeout(1) is given, which a stand-in notes."""
        self.write("bin/timeout", NOTE)
        os.chmod(self.path("bin/timeout"), 0o755)
        if os.path.exists(self.path("notes")):
            os.remove(self.path("notes"))
        done = self.pbs(**more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(self.read("notes").decode().split("--signal=USR1 ")[1].split()[0])

    def test_pbs_keeps_three_minutes_of_any_walltime(self):
        for walltime, seconds in (("04:00:00", 14220), ("00:08:09", 309), ("100:00:00", 359820),
                                  ("00:05:00", 150), ("900", 720)):
            with self.subTest(walltime=walltime):
                self.has_resources(walltime)
                self.assertEqual(self.time_of(), seconds)
        self.assertEqual(self.time_of(SECONDS_TO_RUN="77"), 77)

    def test_pbs_that_does_not_tell_the_walltime(self):
        done = self.pbs()
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"\A.*give SECONDS_TO_RUN.*\n\Z")
        self.assertFalse(os.path.exists(self.path("notes")))
        self.assertEqual(self.time_of(SECONDS_TO_RUN="77"), 77)

    def test_pbs_passes_on_the_seconds_that_it_was_given(self):
        self.write("more.txt", LONG)
        done = self.pbs(SECONDS_TO_RUN="15", SETTINGS="more.txt")
        self.assertEqual(done.returncode, 75, done.stderr)
        self.assertRegex(self.read("notes").decode(), r"(?m)qsub -v \S*,SECONDS_TO_RUN=15 ")

    def test_pbs_without_its_settings(self):
        done = self.pbs(SECONDS_TO_RUN="15", SETTINGS="none.txt")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"\A.*none\.txt: No such file.*\n\Z")
        self.assertFalse(os.path.exists(self.path("notes")))

    def test_pbs_that_ends_is_not_queued_again(self):
        self.assertEqual(self.pbs(SECONDS_TO_RUN="60").returncode, 0)
        self.assertNotIn("qsub", self.read("notes").decode())


if __name__ == "__main__":
    bench.main()
