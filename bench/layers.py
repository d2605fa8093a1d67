"""Layers one by one: convolutions beside the ceiling and oneDNN, and what is bound by memory."""
import os

from peers import environment, run

OTHER_KINDS = ("batchnorm", "maxpool", "avgpool", "lrn")
# A transposed convolution is planned as the one from its output to its input (conv_transpose.c).
TRANSPOSED = {"forward": "backward-data", "backward-data": "forward"}


def pair_name(pair):
    return f"{pair[0]}" if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def name_of(shape, transposed=False):
    """As in "3x3/2 64-128 56x56"; dilation, and "in" so many groups, at the end."""
    (channels, height, width), output = shape["input"], shape["output"]
    stride, dilation = pair_name(shape["stride"]), pair_name(shape["dilation"])
    groups = "depthwise" if shape["groups"] == channels == output else f"in {shape['groups']}"
    return ("{}x{}".format(*shape["kernel"]) + (f"/{stride}" if stride != "1" else "")
            + (f" transposed {output}-{channels} to" if transposed else f" {channels}-{output}")
            + f" {height}x{width}" + (f" dilated {dilation}" if dilation != "1" else "")
            + (f" {groups}" if shape["groups"] > 1 else ""))


def line_of(layer, batch):
    """For bench_products --lines."""
    shape = layer["convolution"]
    numbers = (*shape["input"], shape["output"], *shape["kernel"], *shape["stride"],
               *shape["pad"], *shape["dilation"], shape["groups"], batch,
               int(not layer["input_gradient"]))
    return " ".join(map(str, numbers))


def convolutions(options, network, batch):
    """Every distinct convolution of a network: its line, and what `convoy inspect` says of it."""
    report = run([options.program, "inspect", network.path(), "--json"], environment(options))
    layers = report[0]["network"]["layers"] if report else []
    return {line_of(layer, batch): layer for layer in layers if layer["kind"] == "conv"}


def bench_program(program, name):
    """The one built with this `convoy`."""
    return os.path.join(os.path.dirname(program), "bench", name)


def measure_line(options, line):
    """Its directions, as bench_products says; none where it fails."""
    command = [bench_program(options.program, "bench_products"), "--lines", "--threads", "2",
               "--rounds", str(options.layer_rounds)] + ["--cpu-time"] * options.cpu_time
    rows = run(command, environment(options), text=line)
    return rows[0] if rows else []


def measure_layer(options, layer, batch):
    """In every direction: what bench_products says, the shape and its name."""
    shape, transposed = layer["convolution"], layer["kind"] == "conv_transpose"
    rows = [{**row, "shape": shape, "name": name_of(shape, transposed)}
            for row in measure_line(options, line_of(layer, batch))]
    for row in rows if transposed else ():
        row["direction"] = TRANSPOSED.get(row["direction"], row["direction"])
    return rows


def measure_convolutions(options, network):
    """Every distinct convolution of a network."""
    return [row for layer in convolutions(options, network, network.batch).values()
            for row in measure_layer(options, layer, network.batch)]


def measure_shapes(options, shapes):
    return [row for layer in shapes.layers for row in measure_layer(options, layer, shapes.batch)]


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
