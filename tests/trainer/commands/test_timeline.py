#!/usr/bin/env python3
"""convoy train --timeline: one file that a viewer of traces reads, all ranks on one clock."""
import collections
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

SLACK = 1000  # microseconds that clocks of one host may be taken to differ
STEPS = 4


class Timeline(bench.Bench):
    def trace(self, *launcher):
        command = [bench.PROGRAM, "train", "recipe.yaml", "--run", "out", "--oversubscribe",
                   "--timeline", "trace.json", "exchange.bucket=1KiB", "data.validation=data/train"]
        done = self.run_command([*launcher, *command])
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.load()

    def load(self):
        trace = json.loads(self.read("trace.json"))
        self.assertEqual(set(trace), {"traceEvents", "displayTimeUnit"})
        ranks = collections.defaultdict(list)
        for event in trace["traceEvents"]:
            ranks[event["pid"]].append(event)
        return ranks

    def check_rank(self, rank, events):
        """Everything has its place: phases and layers nest, buckets begin and end."""
        names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
        self.assertEqual(len(names), 1)
        self.assertRegex(names[0], rf"^rank {rank} \(\S+\)$")
        open_events, count = [], collections.Counter()
        spans = [event for event in events if event["ph"] == "X"]
        for event in spans:
            begin, end = event["ts"], event["ts"] + event["dur"]
            self.assertGreaterEqual(event["dur"], 0)
            while open_events and open_events[-1][1] <= begin + 0.002:
                open_events.pop()
            if open_events:
                self.assertLessEqual(end, open_events[-1][1] + 0.002, (event, open_events))
            if event["cat"] == "layer":
                self.assertIn(open_events[-1][0] if open_events else None,
                              ("forward", "backward"), event)
            open_events.append((event["name"], end))
            if event["cat"] == "phase":
                count[event["name"]] += 1
        self.assertEqual(count["input"], 2 * STEPS, count)  # with validation's, twice a data set
        self.assertEqual(count["backward"], STEPS, count)
        self.assertEqual(count["validation"], 2, count)
        self.assertEqual(count["checkpoint"], 2, count)
        layers = {event["name"] for event in spans if event["cat"] == "layer"}
        self.assertLessEqual({"load pictures", "loss"}, layers)
        self.assertTrue(any("conv" in name for name in layers), layers)
        begun = collections.Counter(event["id"] for event in events if event["ph"] == "b")
        ended = collections.Counter(event["id"] for event in events if event["ph"] == "e")
        self.assertEqual(begun, ended)
        return spans

    def check_clock(self, ranks):
        """Nobody begins a step before all are through forward of the step before."""
        ends, begins = collections.defaultdict(list), collections.defaultdict(list)
        for events in ranks.values():
            validation = [(event["ts"], event["ts"] + event["dur"]) for event in events
                          if event["name"] == "validation"]
            for event in events:
                if event["name"] == "forward" and event["cat"] == "phase" and not any(
                        begin <= event["ts"] < end for begin, end in validation):
                    begins[event["args"]["step"]].append(event["ts"])
                    ends[event["args"]["step"]].append(event["ts"] + event["dur"])
        self.assertEqual(sorted(begins), list(range(1, STEPS + 1)))
        for step in range(1, STEPS):
            self.assertGreater(min(begins[step + 1]) + SLACK, max(ends[step]), step)
        whole = max(ends[STEPS]) - min(begins[1])
        self.assertLess(whole, 60e6)

    def test_all_ranks_on_one_clock(self):
        ranks = self.trace("mpirun", "-n", "3")
        self.assertEqual(sorted(ranks), [0, 1, 2])
        spans = {rank: self.check_rank(rank, events) for rank, events in ranks.items()}
        for events in ranks.values():
            self.assertTrue([event for event in events if event["ph"] == "b"])
        self.check_clock(spans)

    def test_a_clock_that_is_far_off(self):
        """Rank 1 lives in a time of its own, more than an hour ahead."""
        away = ["unshare", "--time", "--monotonic", "5000", "--fork", "--kill-child"]
        if subprocess.run([*away, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no right to make a time namespace")
        command = [bench.PROGRAM, "train", "recipe.yaml", "--run", "out", "--oversubscribe",
                   "--timeline", "trace.json", "data.validation=data/train"]
        done = self.run_command(["mpirun", "-n", "1", *command, ":", "-n", "1", *away, *command])
        self.assertEqual(done.returncode, 0, done.stderr)
        ranks = self.load()
        self.check_clock({rank: self.check_rank(rank, events) for rank, events in ranks.items()})

    def test_of_a_run_that_fails(self):
        command = [bench.PROGRAM, "train", "recipe.yaml", "--run", "out", "--oversubscribe",
                   "--timeline", "trace.json", "train.schedule={constant: 1e6}", "train.optimizer={sgd: {momentum: 0.99}}"]
        done = self.run_command(["mpirun", "-n", "2", *command])
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the loss is", done.stderr)
        ranks = self.load()
        self.assertEqual(sorted(ranks), [0, 1])
        for events in ranks.values():
            self.assertIn("backward", [event["name"] for event in events])

    def lose(self, number):
        """Of three ranks the second gets a signal in the middle of the run; where it was."""
        command = [bench.PROGRAM, "train", "recipe.yaml", "--run", "out", "--oversubscribe",
                   "--timeline", "trace.json", "train.epochs=1000000", "checkpoint={every_epochs: 0}",
                   "watch.heartbeat_seconds=4"]
        self.write("trace.json", "of a run before")
        # mpirun gives ranks a second between SIGTERM and SIGKILL; a busy machine may want more.
        environment = bench.environment(OMPI_MCA_odls_base_sigkill_timeout="20")
        with subprocess.Popen(["mpirun", "-n", "3", *command], cwd=self.folder, env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as job:
            self.addCleanup(job.kill)
            self.wait_for_step(20)
            children = f"/proc/{job.pid}/task/{job.pid}/children"
            with open(children, encoding="ascii") as file:
                os.kill(int(file.read().split()[1]), number)
            said = job.communicate(timeout=bench.TIMEOUT)[1].decode()
            self.assertNotEqual(job.returncode, 0, said)
        ranks = self.load()
        self.assertEqual(sorted(ranks), [0, 2], said)
        for rank, events in ranks.items():
            self.assertIn(f"rank {rank} (", events[0]["args"]["name"])
            steps = [event["args"]["step"] for event in events if event["name"] == "backward"]
            self.assertGreater(max(steps), 10)
        left = [name for name in os.listdir(self.folder) if name.startswith("trace.json")]
        self.assertEqual(left, ["trace.json"])

    def wait_for_step(self, step):
        for _ in range(10 * bench.TIMEOUT):
            path = self.path("out", "metrics.jsonl")
            if os.path.exists(path) and f'"step":{step},' in self.read("out/metrics.jsonl").decode():
                return
            time.sleep(0.1)
        self.fail(f"no step {step}")

    def test_of_a_job_that_lost_a_rank(self):
        self.lose(signal.SIGKILL)

    def test_of_a_job_whose_rank_is_stopped(self):
        self.lose(signal.SIGSTOP)

    def test_one_rank_without_mpirun(self):
        ranks = self.trace()
        self.check_rank(0, ranks[0])

    def test_it_changes_no_bit(self):
        self.works("train", "recipe.yaml", "--run", "plain")
        self.works("train", "recipe.yaml", "--run", "traced", "--timeline", "trace.json")
        name = f"checkpoints/step-{STEPS:09d}.safetensors"
        self.assertEqual(self.read(f"plain/{name}"), self.read(f"traced/{name}"))

    def test_a_file_that_cannot_be_written_is_refused_at_the_start(self):
        self.refuses(1, ["nowhere/trace.json"], "train", "recipe.yaml", "--run", "out",
                     "--timeline", "nowhere/trace.json")


if __name__ == "__main__":
    bench.main()
