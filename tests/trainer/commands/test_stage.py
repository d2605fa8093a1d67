#!/usr/bin/env python3
"""data.stage: shards are copied to the node once, verified, and gone when the run is; and a data set
on a network file system is refused without it."""
import fcntl
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

# statfs as it answers on NFS: a server is not at hand in a test.
NFS = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/vfs.h>
int statfs(const char *path, struct statfs *about) {
    int (*real)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
    int result = real(path, about);
    if (result == 0 && strstr(path, "data/train") != NULL) {
        about->f_type = 0x6969;
    }
    return result;
}
"""


class Stage(bench.Bench):
    def copies(self, name="*.mdb"):
        return sorted(glob.glob(self.path("fast", "convoy-*", "*", name)))

    def train(self, run, *more, launcher=()):
        done = self.run_command([*launcher, bench.PROGRAM, "train", "recipe.yaml", "--run", run,
                                 "--oversubscribe", *more])
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def staged(self, run, *more, launcher=()):
        """Trains on copies; how many were made, and how many found."""
        done = self.train(run, "data.stage=fast", *more, launcher=launcher)
        said = re.search(r"training set read from copies in fast: (\d+) shards copied, (\d+) found",
                         done.stderr)
        self.assertTrue(said, done.stderr)
        return int(said.group(1)), int(said.group(2))

    def assert_same(self, one, other):
        name = "checkpoints/step-000000004.safetensors"
        self.assertEqual(self.read(f"{one}/{name}"), self.read(f"{other}/{name}"))

    def leave_copies(self):
        """A job that is killed leaves its copies behind."""
        job = subprocess.Popen(
            [bench.PROGRAM, "train", "recipe.yaml", "--run", "killed", "data.stage=fast",
             "train.epochs=1000000", "checkpoint.every_epochs=0"], cwd=self.folder,
            env=bench.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 60
        while not (os.path.exists(self.path("killed/metrics.jsonl")) and
                   b'"event":"step"' in self.read("killed/metrics.jsonl")):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.02)
        return job

    def test_copies_change_no_bit_and_are_gone_afterwards(self):
        self.train("plain", "data.validation=data/train")
        made = self.staged("copied", "data.validation=data/train", launcher=["mpirun", "-n", "3"])
        self.assertEqual(made, (4, 0))
        self.assert_same("plain", "copied")
        self.assertEqual(os.listdir(self.path("fast")), [])

    def test_what_a_killed_job_left_is_used_again(self):
        job = self.leave_copies()
        job.kill()
        job.wait()
        self.assertEqual(len(self.copies()), 4)
        self.train("plain")
        with open(self.copies()[2], "r+b") as file:  # damaged: it is copied again
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        os.remove(self.copies("shard-00001.digest")[0])
        self.assertEqual(self.staged("copied"), (2, 2))
        self.assert_same("plain", "copied")
        self.assertEqual(os.listdir(self.path("fast")), [])

    def test_the_copies_stay_as_long_as_a_job_uses_them(self):
        job = self.leave_copies()
        try:
            with open(f"/proc/{job.pid}/maps", encoding="utf-8") as file:
                maps = file.read()
            self.assertIn("/fast/convoy-", maps)
            self.assertNotIn("/data/train/shard-", maps)
            self.assertEqual(self.staged("second"), (0, 4))
            self.assertEqual(len(self.copies()), 4)
            job.send_signal(signal.SIGUSR1)
            self.assertEqual(job.wait(60), 75)
            self.assertEqual(os.listdir(self.path("fast")), [])
        finally:
            job.kill()
            job.wait()

    def test_it_may_take_longer_than_any_other_wait(self):
        """Another job that copies the same data set holds it up, until the watch has told of a wait
        that is longer than what ends a job."""
        job = self.leave_copies()
        job.kill()
        job.wait()
        for copy in self.copies():
            os.remove(copy)
        with open(self.copies("copying")[0], "r+b") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            job = subprocess.Popen(
                ["mpirun", "-n", "3", bench.PROGRAM, "train", "recipe.yaml", "--run", "slow",
                 "--oversubscribe", "data.stage=fast", "watch.warn_seconds=1",
                 "watch.stop_seconds=5"], cwd=self.folder, env=bench.environment(), text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            said = ""
            try:
                for line in job.stderr:
                    said += line
                    waited = re.search(r"rank [12] \(\S+\) has waited (\d+) s for the copies of "
                                       r"shards; not there: rank 0 \(\S+\), busy with staging", line)
                    if waited and int(waited.group(1)) > 5:
                        fcntl.flock(other, fcntl.LOCK_UN)
                said += job.communicate(timeout=60)[1]
            finally:
                job.kill()
                job.wait()
        self.assertEqual(job.returncode, 0, said)
        self.assertTrue(said.startswith("staging: copies of 4 of the 4 shards of data/train in fast\n"),
                        said)
        self.assertIn("4 shards copied, 0 found", said)

    def test_another_data_set_has_copies_of_its_own(self):
        job = self.leave_copies()
        job.kill()
        job.wait()
        self.works("import", "pictures", "pictures", "data/train", "--shards", "8", "--replace")
        self.assertEqual(self.staged("copied"), (8, 0))
        self.assertEqual(len(self.copies()), 4)

    def test_no_room(self):
        os.makedirs(self.path("small"))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", self.path("small")],
                          stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no right to mount a small file system")
        try:
            self.refuses(1, ["data.stage", "small", "MiB free", "takes"], "train", "recipe.yaml",
                         "--run", "out", "data.stage=small", may_write=("small",))
            self.assertEqual(glob.glob(self.path("small", "convoy-*", "*", "*.mdb")), [])
        finally:
            subprocess.run(["umount", "-l", self.path("small")], check=True)

    def test_a_place_that_cannot_be_written(self):
        self.refuses(1, ["recipe.yaml"], "train", "recipe.yaml", "--run", "out",
                     "data.stage=recipe.yaml")

    def test_a_network_file_system_is_refused_without_it(self):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            self.skipTest("no compiler for the file system that is played")
        self.write("nfs.c", NFS)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self.path("nfs.so"),
                        self.path("nfs.c"), "-ldl"], check=True)
        launcher = ["env", "LD_PRELOAD=" + self.path("nfs.so"),
                    "ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0"]
        self.refuses(2, ["data/train", "(nfs)", "data.stage=/dev/shm", "in_place"], "train",
                     "recipe.yaml", "--run", "out", launcher=launcher)
        self.train("near", "data.stage=in_place", launcher=launcher)
        self.assertEqual(self.staged("copied", launcher=launcher), (4, 0))
        self.assert_same("near", "copied")


if __name__ == "__main__":
    bench.main()
