#!/usr/bin/python3
"""One rank of a training step in PyTorch, on made-up pictures: a peer for bench/compare.

Prints one JSON object: the seconds of each step after the first two, and the peak of memory. Under
RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT it is one rank of DistributedDataParallel over gloo.
"""
import argparse
import json
import os
import resource
import time

import torch

import pytorch_networks

WARM = 2


def clock(cpu_time):
    return time.process_time() if cpu_time else time.perf_counter()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--batch", type=int, required=True, help="pictures of this rank")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    network, picture = pytorch_networks.create(options.network)
    network.train()
    pictures = torch.randn(options.batch, *picture)
    if options.channels_last:
        network = network.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    if "RANK" in os.environ:
        torch.distributed.init_process_group("gloo")
        network = torch.nn.parallel.DistributedDataParallel(network)
    classes = torch.arange(options.batch) % 10
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5, momentum=0.9, weight_decay=1e-4)

    seconds = []
    for _ in range(WARM + options.steps):
        if "RANK" in os.environ:
            torch.distributed.barrier()
        start = clock(options.cpu_time)
        optimizer.zero_grad(set_to_none=True)
        output = network(pictures)
        if isinstance(output, tuple):  # Inception and its heads
            loss = loss_of(output[0], classes) + 0.3 * sum(loss_of(o, classes) for o in output[1:])
        else:
            loss = loss_of(output, classes)
        loss.backward()
        optimizer.step()
        seconds.append(clock(options.cpu_time) - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds[WARM:], "peak_memory_mib": peak}))


if __name__ == "__main__":
    main()
