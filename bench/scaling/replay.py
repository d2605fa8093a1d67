"""Builds replay.c from the program's own source files, and runs it on hosts that SimGrid plays."""
import glob
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXCHANGE = os.path.join("worker", "exchange")
STANDS_ON = ["base/cpu.c", "base/shared_memory.c", "base/status.c", "base/tree.c",
             "worker/activity.c"]
# The only files that are not the same everywhere: how bytes travel, and what a vector is.
TRANSPORTS = ("transport_mpi.c", "transport_memory.c")
PAYLOAD = ["base/memory.c", "worker/exchange/vector.c"]
OWN = {"simulated": ["host_simulated.c", "payload_none.c"],
       "checked": ["host_simulated.c", "payload_real.c"],
       "real": ["host_real.c", "payload_real.c"]}


def build(folder, kind):
    """The path of the program: `simulated` at any scale, `checked` with real data, or `real`."""
    sources = [os.path.join("bench", "scaling", name)
               for name in ["replay.c", "profile.c", *OWN[kind]]] + STANDS_ON
    for path in sorted(glob.glob(os.path.join(ROOT, EXCHANGE, "*.c"))):
        path = os.path.relpath(path, ROOT)
        if os.path.basename(path) not in TRANSPORTS and path not in PAYLOAD:
            sources.append(path)
    sources += PAYLOAD if kind != "simulated" else []
    sources += [os.path.join(EXCHANGE, TRANSPORTS[0])] if kind == "real" else []
    program = os.path.join(folder, f"replay-{kind}")
    compiler = "mpicc" if kind == "real" else "smpicc"
    subprocess.run([compiler, "-O2", "-std=c17", "-D_GNU_SOURCE", "-I.", "-o", program, *sources,
                    "-lm"], cwd=ROOT, check=True)
    return program


def seconds_of(output):
    return [float(line) for line in output.split()]


def simulate(program, network, arguments, allreduce=None):
    """The seconds of each step. `network` comes from fat_tree.write; `allreduce` names one of
    SimGrid's own algorithms, for `replay ... allreduce`."""
    own = [f"--cfg=smpi/allreduce:{allreduce}"] if allreduce else []
    command = ["smpirun", *network, "-no-privatize", "--cfg=smpi/simulate-computation:no",
               "--cfg=smpi/test:0", "--cfg=contexts/stack-size:256", *own,
               "--log=root.thres:warning", program, *map(str, arguments)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return seconds_of(done.stdout)
