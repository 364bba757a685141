#!/usr/bin/env python3
"""Compares two builds of the program on the tasks of compare.py, without PyTorch.

    python3 bench/builds.py BEFORE AFTER

Both are timed in turn, and each pair gives a ratio, so that slow changes of the machine's speed cancel. Prints the median of the ratios with its 95 %
interval (of order statistics).
"""
import argparse
import json
import math
import statistics
import subprocess
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("before", help="a program")
parser.add_argument("after", help="another")
parser.add_argument("--networks", default="resunet,DDPM++,UNet2DModel", help="which of the three")
parser.add_argument("--pairs", type=int, default=15, help="pairs of samples of each task")
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

FASHION = ["fashion-mnist", "--shape", "28x28x1", "--batch", "64", "--set", "data.hold_out=0"]
DIFFUSERS = [str(Path(__file__).resolve().parent / "ddpm-cifar10-32.toml"), "--shape", "32x32x3", "--batch", "16"]
TASKS = [
    ("resunet, batch 32, inference", "inference", ["--network", "resunet", "--batch", "32"]),
    ("resunet, batch 32, training", "training", ["--network", "resunet", "--batch", "32"]),
    ("resunet, batch 1, inference", "inference", ["--network", "resunet", "--batch", "1"]),
    ("DDPM++ of fashion-mnist, batch 64, inference", "inference", FASHION),
    ("DDPM++ of fashion-mnist, batch 64, training", "training", FASHION),
    ("UNet2DModel of ddpm-cifar10-32, batch 16, inference", "inference", DIFFUSERS),
]


def milliseconds(program, task, arguments):
    command = [program, "--threads", str(args.threads), "bench", *arguments, "--task", task, "--rounds", "3"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(out.stdout)["tasks"][task]["median_ms"]


for name, task, arguments in TASKS:
    if name.split()[0].rstrip(",") not in args.networks.split(","):
        continue
    before, after = [], []
    for pair in range(args.pairs):
        # The order changes, so that neither is always the second.
        sides = [(before, args.before), (after, args.after)]
        for times, program in sides if pair % 2 == 0 else reversed(sides):
            times.append(milliseconds(program, task, arguments))
    ratios = sorted(b / a for a, b in zip(before, after))
    # Ranks of the interval of a median: n/2 -+ 1.96 sqrt(n)/2.
    low = max(0, math.floor(len(ratios) / 2 - 0.98 * math.sqrt(len(ratios))))
    high = len(ratios) - 1 - low
    print(f"{name:52} {min(before):7.1f} {min(after):7.1f} ms at best   after/before {statistics.median(ratios):.3f}  ({ratios[low]:.3f} to {ratios[high]:.3f})", flush=True)
