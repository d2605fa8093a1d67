"""Layers one by one: convolutions beside the ceiling and oneDNN, and what is bound by memory."""
import os

from peers import environment, run

OTHER_KINDS = ("batchnorm", "maxpool", "avgpool", "lrn")


def name_of(shape):
    """As in "3x3/2 64-128 56x56"."""
    (channels, height, width), kernel, stride = shape["input"], shape["kernel"], shape["stride"][0]
    return (f"{kernel[0]}x{kernel[1]}" + (f"/{stride}" if stride > 1 else "")
            + f" {channels}-{shape['output']} {height}x{width}"
            + (f" in {shape['groups']}" if shape["groups"] > 1 else ""))


def line_of(layer, batch):
    """For bench_products --lines."""
    shape = layer["convolution"]
    numbers = (*shape["input"], shape["output"], *shape["kernel"], shape["stride"][0],
               *shape["pad"], shape["groups"], batch, int(not layer["input_gradient"]))
    return " ".join(map(str, numbers))


def convolutions(options, network, batch):
    """Every distinct convolution of a network: its line, and what `convoy inspect` says of it."""
    report = run([options.program, "inspect", network.path(), "--json"], environment(options))
    layers = report[0]["network"]["layers"] if report else []
    return {line_of(layer, batch): layer for layer in layers if layer["kind"] == "conv"}


def bench_program(options, name):
    return os.path.join(os.path.dirname(options.program), "bench", name)


def measure_line(options, line):
    """Its directions, as bench_products says; none where it fails."""
    command = [bench_program(options, "bench_products"), "--lines", "--threads", "2", "--rounds",
               str(options.layer_rounds)] + ["--cpu-time"] * options.cpu_time
    rows = run(command, environment(options), text=line)
    return rows[0] if rows else []


def measure_convolutions(options, network):
    """Every distinct convolution of a network, in every direction: what bench_products says, the
    shape and its name."""
    return [{**row, "shape": layer["convolution"], "name": name_of(layer["convolution"])}
            for line, layer in convolutions(options, network, network.batch).items()
            for row in measure_line(options, line)]


def measure_memory_bound(options, network):
    """What is no convolution, by kind: [name, share of the memory's speed, GB/s of that]."""
    command = [options.program, "bench", "layers", network.path(network.published), "--json",
               "--batch", str(network.batch), "--rounds", str(options.layer_rounds), "--threads",
               "2"] + ["--cpu-time"] * options.cpu_time
    report = run(command, environment(options))
    if not report:
        return []
    rows = [(f"{row['kind']} {row['part']}", row) for row in report[0]["kinds"]
            if row["kind"] in OTHER_KINDS]
    rows += [("update", row) for row in report[0]["layers"] if row["name"] == "update"]
    return [(name, row["share_of_memory"], report[0]["memory_gbytes"]) for name, row in rows
            if row["share_of_memory"]]
