#!/usr/bin/env python3
"""Nobody hangs in the dark: jobs of several ranks of which one is stopped, killed or late, and jobs
that are suspended as a whole and go on."""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

FOREVER = ["train.epochs=1000000", "checkpoint.every_epochs=0"]


class Job:
    """A job under mpirun, and the processes of its ranks."""

    def __init__(self, test, ranks, *more):
        self.test = test
        self.process = subprocess.Popen(
            ["mpirun", "-n", str(ranks), bench.PROGRAM, "train", "recipe.yaml", "--run", "out",
             "--oversubscribe", "--quiet", *more], cwd=test.folder, env=bench.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True)
        test.addCleanup(self.clean)
        self.ranks = {}
        self.wait_until(lambda: self.steps() > 2)
        self.ranks = self.find_ranks()
        test.assertEqual(sorted(self.ranks), list(range(ranks)))

    def clean(self):
        for process in [*self.ranks.values(), self.process.pid]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.communicate()

    def find_ranks(self):
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{name}/environ", "rb") as file:
                    entries = file.read().split(b"\0")
            except (OSError, IndexError):
                continue
            for entry in entries if parent == self.process.pid else []:
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(entry.partition(b"=")[2])] = int(name)
        return found

    def steps(self):
        try:
            return self.test.read("out/metrics.jsonl").count(b'"event":"step"')
        except FileNotFoundError:
            return 0

    def wait_until(self, holds, seconds=60):
        limit = time.monotonic() + seconds
        while not holds():
            self.test.assertLess(time.monotonic(), limit)
            self.test.assertIsNone(self.process.poll(), "the job ended")
            time.sleep(0.02)

    def signal(self, number, ranks):
        for rank in ranks:
            os.kill(self.ranks[rank], number)

    def end(self, seconds):
        """Waits for the job's end; its output, and the seconds that it took."""
        start = time.monotonic()
        output, _ = self.process.communicate(timeout=seconds)
        took = time.monotonic() - start
        self.test.assertNotEqual(self.process.returncode, 0, output)
        limit = time.monotonic() + 5
        while any(self.lives(process) for process in self.ranks.values()):
            self.test.assertLess(time.monotonic(), limit, "a rank outlived its job")
            time.sleep(0.02)
        return output, took

    @staticmethod
    def lives(process):
        try:
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False


class Watch(bench.Bench):
    def one_line(self, output, *texts):
        lines = [line for line in output.splitlines() if line.startswith("convoy: ")]
        self.assertEqual(len(lines), 1, output)
        for text in texts:
            self.assertIn(text, lines[0])
        return lines[0]

    def test_a_stopped_rank_ends_the_job_within_ten_seconds(self):
        job = Job(self, 3, *FOREVER)
        job.signal(signal.SIGSTOP, [1])
        output, took = job.end(60)
        line = self.one_line(output, "rank 1 (", f"process {job.ranks[1]})", "is stopped")
        self.assertLess(took, 10, output)
        self.assertIn(line.removeprefix("convoy: "), self.read("out/log.txt").decode())

    def test_a_stopped_rank_0_too(self):
        job = Job(self, 3, *FOREVER)
        job.signal(signal.SIGSTOP, [0])
        output, took = job.end(60)
        self.one_line(output, "rank 0 (", "is stopped")
        self.assertLess(took, 10, output)

    def test_a_killed_rank_ends_the_job_and_is_named(self):
        job = Job(self, 3, *FOREVER)
        job.signal(signal.SIGKILL, [2])
        output, took = job.end(60)
        self.assertIn("rank 2", output)
        self.assertLess(took, 10, output)

    def test_a_job_that_was_suspended_goes_on(self):
        job = Job(self, 3, *FOREVER, "watch.heartbeat_seconds=4", "watch.warn_seconds=3")
        for pause in (6, 6):
            job.signal(signal.SIGSTOP, [2, 1, 0])
            time.sleep(pause)
            job.signal(signal.SIGCONT, [0, 1, 2])
            before = job.steps()
            time.sleep(3)  # longer than a silence may be
            job.wait_until(lambda: job.steps() > before)
        job.process.send_signal(signal.SIGUSR1)
        output, _ = job.process.communicate(timeout=60)
        self.assertIn("stopped by SIGUSR1", output)
        self.assertNotIn("convoy: ", output)
        self.assertNotIn("warning", output)

    def test_a_late_rank_is_told_of_and_ends_the_job_at_last(self):
        job = Job(self, 3, *FOREVER, "watch.heartbeat_seconds=0", "watch.warn_seconds=1",
                  "watch.stop_seconds=10")
        before = job.steps()
        job.signal(signal.SIGSTOP, [2])
        output, took = job.end(60)
        # Not those of a second's wait in the first steps, where the machine does other work too. At
        # the end of an epoch the ranks wait in a step that metrics.jsonl already has.
        warnings = [line for line in output.splitlines() if line.startswith("warning: ")
                    and int(re.search(r" in step (\d+)", line)[1]) >= before]
        self.assertGreaterEqual(len(warnings), 2, output) # each after twice as long
        for line in [*warnings, self.one_line(output, "watch.stop_seconds")]:
            self.assertIn("rank 2 (", line)
            self.assertIn(" in step ", line)
            # Either it is waited for, or it was stopped inside a wait of its own.
            self.assertRegex(line, r"rank [01] \(\S+\) has waited ([1-9]|1[0-2]) s for |"
                                   r"rank 2 .* has waited ([1-9]|1[0-2]) s .*furthest behind is rank 2 ")
        self.assertGreater(took, 10)
        self.assertLess(took, 18)

    def test_a_heartbeat_that_is_too_short_is_refused_or_warned_of(self):
        self.refuses(2, ["watch.heartbeat_seconds", "0.5", "1 or more"], "train", "recipe.yaml",
                     "--run", "out", "watch.heartbeat_seconds=0.5")
        for nodes, seconds, warned in (("1,1", 6, True), ("1,1", 7, False), ("1,1", 0, False),
                                       ("2", 6, False)):
            done = self.run_command(
                ["env", f"CONVOY_TEST_NODES={nodes}", "mpirun", "-n", "2", bench.PROGRAM, "train",
                 "recipe.yaml", "--run", f"{nodes}-{seconds}", "--oversubscribe",
                 f"watch.heartbeat_seconds={seconds}"])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("warning: watch.heartbeat_seconds" in done.stderr, warned, done.stderr)

    def test_limits_change_no_bit_and_may_change_on_the_way(self):
        self.works("train", "recipe.yaml", "--run", "one", "watch.warn_seconds=1")
        self.works("train", "recipe.yaml", "--run", "one", "--resume", "watch.warn_seconds=0",
                   "watch.heartbeat_seconds=77", "watch.stop_seconds=0", "train.epochs=3")


if __name__ == "__main__":
    bench.main()
