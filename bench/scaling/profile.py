#!/usr/bin/env python3
"""The profile of a network's step for replay.c, measured on this machine.

    python3 bench/scaling/profile.py PROGRAM MODEL BATCH > PROFILE

runs `convoy bench layers` and `convoy inspect`, and prints lines "seconds floats": forward, then
backward layer by layer, each with the floats of the gradient that are final after it, then the
update. Seconds are the processor's, divided by the threads: others may use the machine too. What
takes less than a thousandth of the step, and has no weights, is one with what follows.
"""
import json
import os
import subprocess
import sys

ROUNDS = 3


def ask(*command):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    return json.loads(done.stdout)


def parts_of(measured, model):
    seconds = {(row["name"], row["part"]): row["seconds"] / measured["threads"]
               for row in measured["layers"]}
    forward = sum(value for (_, part), value in seconds.items() if part == "forward")
    yield forward + seconds[("input", "")] + seconds[("loss", "")], 0
    for layer in reversed(model["network"]["layers"]):
        backward = [seconds.get((layer["name"], part), 0.0)
                    for part in ("backward-weights", "backward")]
        yield sum(backward), layer["parameters"]
    yield seconds[("update", "")], 0


def merged(parts):
    least = sum(seconds for seconds, _ in parts) / 1000
    yield parts[0]
    waiting = 0.0
    for seconds, floats in parts[1:-1]:
        waiting += seconds
        if floats > 0 or waiting > least:
            yield waiting, floats
            waiting = 0.0
    if waiting > 0.0:
        yield waiting, 0
    yield parts[-1]


def main():
    program, path, batch = sys.argv[1:]
    measured = ask(program, "bench", "layers", path, "--batch", batch, "--rounds", str(ROUNDS),
                   "--cpu-time", "--json")
    model = ask(program, "inspect", path, "--json")
    for seconds, floats in merged(list(parts_of(measured, model))):
        print(f"{seconds:.6f} {floats}")


if __name__ == "__main__":
    main()
