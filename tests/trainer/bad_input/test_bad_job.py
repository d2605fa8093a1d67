#!/usr/bin/env python3
"""Jobs that cannot run, or cannot go on: ranks that differ, folders that refuse, numbers that are
none. One clear line, and the last good checkpoint stays."""
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

NOBODY = 65534

# An MPI whose sends fail on rank 1, after a number of them.
BROKEN_MPI = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
int MPI_Isend(const void *bytes, int count, void *type, int to, int tag, void *communicator,
    void **request) {
    static int calls;
    int (*real)(const void *, int, void *, int, int, void *, void **) =
        dlsym(RTLD_NEXT, "MPI_Isend");
    if (atoi(getenv("OMPI_COMM_WORLD_RANK")) == 1 && calls++ == atoi(getenv("WORKING_SENDS"))) {
        return 16; /* MPI_ERR_OTHER of Open MPI */
    }
    return real(bytes, count, type, to, tag, communicator, request);
}
"""


class BadJob(bench.Bench):
    def train_refuses(self, code, texts, *more, **settings):
        return self.refuses(code, texts, "train", "recipe.yaml", "--run", "out", *more, **settings)

    def mixed_job_refuses(self, texts, first, second):
        """`first` runs on rank 0 and `second` on rank 1 of one job."""
        before = bench.snapshot(self.folder)
        done = self.run_command(["mpirun", "-n", "1", *first, ":", "-n", "1", *second])
        output = done.stdout + done.stderr
        self.assertIn(done.returncode, (1, 2), output)
        lines = [line for line in done.stderr.splitlines()
                 if line.startswith("convoy: ") and all(text in line for text in texts)]
        self.assertEqual(len(lines), 1, output)
        after = bench.snapshot(self.folder)
        self.assertEqual({path for path in before if after.get(path) != before[path]}, set())
        self.assertEqual(glob.glob(self.path("out", "checkpoints", "*")), [], output)

    def train_command(self, *more, program=bench.PROGRAM, recipe="recipe.yaml"):
        """A job that hangs is to end, by words that the tests do not expect."""
        return [program, "train", recipe, "--run", "out", "--oversubscribe",
                "watch.stop_seconds=20", *more]

    def test_another_recipe_on_one_rank(self):
        text = self.read("recipe.yaml").decode()
        self.write("other.yaml", text.replace("rate: 0.01", "rate: 0.02"))
        self.mixed_job_refuses(["rank 1", "recipe"], self.train_command(),
                               self.train_command(recipe="other.yaml"))

    def test_another_seed_on_one_rank(self):
        self.mixed_job_refuses(["rank 1"], self.train_command("train.seed=1"),
                               self.train_command("train.seed=2"))

    def test_another_data_set_on_one_rank(self):
        self.works("import", "pictures", "pictures", "data/other", "--shards", "8")
        shutil.rmtree(self.path("pictures/class_5"))
        shutil.copytree(self.path("pictures/class_0"), self.path("pictures/class_5"))
        self.works("import", "pictures", "pictures", "data/other", "--shards", "4", "--replace")
        self.mixed_job_refuses(["rank 1", "data"], self.train_command(),
                               self.train_command("data.train=data/other"))

    def test_another_validation_on_one_rank(self):
        """What one copy of the recipe has the ranks do together, the other does not."""
        validation = "data.validation=data/train"
        self.mixed_job_refuses(["rank 1", "validation set", "none"],
                               self.train_command(validation), self.train_command())
        self.mixed_job_refuses(["rank 1", "validation set", "none"],
                               self.train_command(), self.train_command(validation))
        self.mixed_job_refuses(["rank 1", "cadence of validation", "every 1 epochs and 2 steps"],
                               self.train_command(validation),
                               self.train_command(validation, "train.validate_every_steps=2"))
        self.mixed_job_refuses(["rank 1", "cadence of validation", "every 3 epochs and 0 steps"],
                               self.train_command(validation),
                               self.train_command(validation, "train.validate_every_epochs=3"))

    def test_another_exchange_on_one_rank(self):
        native = "exchange.algorithm=native"
        self.mixed_job_refuses(["rank 1", "recipe"], self.train_command(native),
                               self.train_command())
        self.mixed_job_refuses(["rank 1", "recipe"], self.train_command(),
                               self.train_command(native))
        self.mixed_job_refuses(["rank 1", "exchange.bucket", "256"],
                               self.train_command(), self.train_command("exchange.bucket=256"))

    def test_another_build_on_one_rank(self):
        version = self.works("version").stdout
        identity = re.search(r"\b[0-9a-f]{16}\b", version).group(0).encode()
        with open(bench.PROGRAM, "rb") as file:
            content = file.read()
        self.assertIn(identity, content)
        other = self.path("convoy-other")
        with open(other, "wb") as file:
            file.write(content.replace(identity, b"0123456789abcdef"))
        os.chmod(other, 0o755)
        self.mixed_job_refuses(["rank 1", "build", "0123456789abcdef"], self.train_command(),
                               self.train_command(program=other))

    def test_an_error_of_mpi_on_one_rank(self):
        """Others wait for what it does not send: it speaks, though it is not rank 0, and ends all,
        at the start and in the middle of the training."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            self.skipTest("no compiler for the MPI that fails")
        self.write("broken.c", BROKEN_MPI)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self.path("broken.so"),
                        self.path("broken.c"), "-ldl"], check=True)
        for sends, training in ((0, False), (200, True)):
            with self.subTest(sends):
                done = self.train_refuses(
                    1, ["rank 1 (", "MPI_Isend failed"], "--oversubscribe", "--quiet",
                    "train.epochs=1000000", "checkpoint.every_epochs=0", "watch.stop_seconds=20",
                    may_write=("out",), launcher=[
                        "mpirun", "-n", "3", "env", "LD_PRELOAD=" + self.path("broken.so"),
                        f"WORKING_SENDS={sends}",
                        "ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0"])
                self.assertEqual(done.stderr.count("convoy: "), 1, done.stderr)
                self.assertEqual(os.path.exists(self.path("out", "metrics.jsonl")), training)

    def test_more_ranks_than_leaves(self):
        self.train_refuses(2, ["3", "2", "leaves"], "--oversubscribe", "train.batch=16",
                           launcher=["mpirun", "-n", "3"], may_write=("out",))

    def test_more_threads_than_cores(self):
        self.train_refuses(2, ["--oversubscribe"], f"train.threads={4 * os.cpu_count()}")

    def test_more_threads_than_the_rank_is_bound_to(self):
        """As mpirun does it by itself, where there are one or two ranks."""
        self.train_refuses(2, ["1 core", "bound rank 0", "--map-by", "--oversubscribe"],
                           "train.threads=2", launcher=["mpirun", "-n", "1", "--bind-to", "core"])

    def test_cores_that_no_rank_is_bound_to(self):
        done = self.run_command(["mpirun", "-n", "1", "--bind-to", "core", bench.PROGRAM, "train",
                                 "recipe.yaml", "--run", "out"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"warning: mpirun bound .* to 1 of its \d+ cores")

    def test_processes_that_mpi_does_not_join(self):
        """What srun without PMI, and another MPI's mpirun, tell the processes that they start."""
        for settings, cure in (({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, "--mpi=pmix"),
                               ({"PMI_SIZE": "3", "PMI_RANK": "0"}, "mpirun")):
            with self.subTest(cure):
                os.environ.update(settings)
                try:
                    self.train_refuses(2, ["would train alone", cure])
                finally:
                    for name in settings:
                        del os.environ[name]

    def test_run_folder_in_use(self):
        first = subprocess.Popen(
            [bench.PROGRAM, "train", "recipe.yaml", "--run", "out", "train.epochs=1000000",
             "checkpoint.every_epochs=0"], cwd=self.folder, env=bench.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + 30
            while not os.path.exists(self.path("out", "metrics.jsonl")):
                self.assertLess(time.monotonic(), limit)
                self.assertIsNone(first.poll())
                time.sleep(0.01)
            first.send_signal(signal.SIGSTOP)
            self.train_refuses(2, ["out", str(first.pid)], "--resume")
            first.send_signal(signal.SIGCONT)
        finally:
            first.kill()
            first.wait()

    def test_run_folder_that_is_there(self):
        self.works("train", "recipe.yaml", "--run", "out")
        self.train_refuses(2, ["out", "--resume"])

    def as_nobody(self):
        """Settings for a process without rights: root may write everywhere."""
        if os.getuid() != 0:
            return {}
        shutil.copy(bench.PROGRAM, self.path("convoy"))
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def test_read_only_output_folder(self):
        os.makedirs(self.path("closed"))
        os.chmod(self.path("closed"), 0o555)
        settings = self.as_nobody()
        program = self.path("convoy") if settings else bench.PROGRAM
        self.refuses(1, ["closed/out"], "train", "recipe.yaml", "--run", "closed/out",
                     program=program, **settings)
        self.refuses(1, ["closed/data"], "import", "pictures", "pictures", "closed/data",
                     program=program, **settings)

    def test_output_folder_below_a_file(self):
        self.refuses(1, ["recipe.yaml/out"], "train", "recipe.yaml", "--run", "recipe.yaml/out")

    def test_checkpoint_that_does_not_fit(self):
        """A limit on the size of files stands for a full disk: the new checkpoint is lost, with its
        name, and the old ones are as they were."""
        self.works("train", "recipe.yaml", "--run", "out")
        kept = {path: self.read(path) for path in glob.glob(self.path("out/checkpoints/step-*"))}
        self.assertEqual(len(kept), 2)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        self.train_refuses(1, ["out/checkpoints"], "--resume", "train.epochs=4", preexec_fn=limit,
                           may_write=("out/log.txt", "out/metrics.jsonl", "out/recipe.yaml"))
        for path, content in kept.items():
            self.assertEqual(self.read(path), content)
        self.works("evaluate", "out", "data/train")

    def test_full_file_system(self):
        os.makedirs(self.path("small"))
        mounted = os.getuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48k", "none", self.path("small")],
            stderr=subprocess.DEVNULL, check=False).returncode == 0
        if not mounted:
            self.skipTest("no right to mount a small file system")
        try:
            done = self.convoy("train", "recipe.yaml", "--run", "small/out", "train.epochs=50",
                               "checkpoint.keep=0")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("small/out", done.stderr)
            self.works("evaluate", "small/out", "data/train")
            done = self.convoy("import", "pictures", "pictures", "small/data")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("small/data", done.stderr)
            self.assertEqual(os.listdir(self.path("small")), ["out"])
        finally:
            subprocess.run(["umount", "-l", self.path("small")], check=True)

    def test_not_a_number_in_the_loss(self):
        done = self.train_refuses(1, ["step", "conv"], "train.schedule={constant: {rate: 1000000}}",
                                  "train.epochs=20", "checkpoint.every_steps=1",
                                  may_write=("out",))
        self.assertNotIn("nan", " ".join(os.listdir(self.path("out/checkpoints"))))
        for path in glob.glob(self.path("out/checkpoints/step-*")):
            self.works("evaluate", path, "data/train")
        self.assertEqual(done.returncode, 1)

    def test_not_a_number_on_many_ranks(self):
        self.train_refuses(1, ["step"], "--oversubscribe", "train.epochs=20",
                           "train.schedule={constant: {rate: 1000000}}", may_write=("out",),
                           launcher=["mpirun", "-n", "3"])

    def test_unknown_instruction_set(self):
        os.environ["CONVOY_ISA"] = "mmx"
        self.addCleanup(os.environ.pop, "CONVOY_ISA")
        self.train_refuses(2, ["CONVOY_ISA", "mmx"], may_write=("out",))


if __name__ == "__main__":
    bench.main()
