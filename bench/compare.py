#!/usr/bin/env python3
"""Times this program and PyTorch in turn on the same networks and prints the ratios.

    cargo build --release && python3 bench/compare.py

Needs PyTorch (pip install torch). The speed of a virtual machine changes within seconds as others use the same processor. Before
and after every sample, `pfgm bench --probe` measures multiply-adds on registers and the bandwidth beyond the second-level
cache. A sample counts only if all readings are near the fastest of the session, for both programs.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import torch_ddpmpp
import torch_diffusers
import torch_resunet

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pfgm", default=str(HERE.parent / "target/release/pfgm"), help="the program")
parser.add_argument("--rounds", type=int, default=9, help="samples of each engine")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--networks", default="resunet,ddpmpp,diffusers", help="which of the three")
parser.add_argument("--any-speed", action="store_true", help="count every sample, on a machine that is never at full speed for long")
parser.add_argument("--json", help="also write the numbers to this file")
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)


def probe():
    out = subprocess.run([args.pfgm, "--threads", str(args.threads), "bench", "--probe"], capture_output=True, text=True, check=True)
    reading = json.loads(out.stdout)
    return reading["peak_gflops"], reading["bandwidth_gbs"]


class Torch:
    """A network, its optimizer and its average, as one thing to time."""

    def __init__(self, make, inputs, target, bf16=False, last=False):
        self.network, self.inputs, self.target, self.bf16 = make(), inputs, target, bf16
        if last:
            self.network = self.network.to(memory_format=torch.channels_last)
            self.inputs = [inputs[0].contiguous(memory_format=torch.channels_last), *inputs[1:]]
        self.average = [p.detach().clone() for p in self.network.parameters()]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def forward(self):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return self.network(*self.inputs)

    def inference(self):
        self.network.eval()
        with torch.no_grad():
            self.forward()

    def training(self):
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        ((self.forward().float() - self.target) ** 2).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.network.parameters()), 1e-3)

    def time(self, task):
        work = getattr(self, task)
        work()
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3


class Pfgm:
    """The program on the same network: each sample is a process of its own, the median of three rounds after two to warm up."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def time(self, task):
        command = [args.pfgm, "--threads", str(args.threads), "bench", *self.arguments, "--task", task, "--rounds", "3"]
        out = subprocess.run(command, capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(out.stderr)
        return json.loads(out.stdout)["tasks"][task]["median_ms"]


def images(batch, channels, size):
    return torch.randn(batch, channels, size, size)


def cases():
    if "resunet" in args.networks:
        for batch, tasks in ((32, ("inference", "training")), (1, ("inference",))):
            x, e = images(batch, 3, 32), torch.randn(batch, 256)
            engines = {
                "PyTorch f32": Torch(torch_resunet.Net, [x, e], x),
                "PyTorch f32 channels_last": Torch(torch_resunet.Net, [x, e], x, last=True),
                "PyTorch bf16": Torch(torch_resunet.Net, [x, e], x, bf16=True),
                "PyTorch bf16 channels_last": Torch(torch_resunet.Net, [x, e], x, bf16=True, last=True),
                "pfgm": Pfgm("--network", "resunet", "--batch", str(batch)),
            }
            for task in tasks:
                yield f"resunet, batch {batch}", task, engines
    if "ddpmpp" in args.networks:
        batch = 64
        x = images(batch, 1, 28)
        inputs = [x, torch.randn(batch, 1), torch.randn(batch, 1), F.one_hot(torch.arange(batch) % 10, 10).float()]
        engines = {
            "PyTorch f32": Torch(torch_ddpmpp.Net, inputs, x),
            "PyTorch f32 channels_last": Torch(torch_ddpmpp.Net, inputs, x, last=True),
            "PyTorch bf16": Torch(torch_ddpmpp.Net, inputs, x, bf16=True),
            "PyTorch bf16 channels_last": Torch(torch_ddpmpp.Net, inputs, x, bf16=True, last=True),
            "pfgm": Pfgm("fashion-mnist", "--shape", "28x28x1", "--batch", str(batch), "--set", "data.hold_out=0"),
        }
        for task in ("inference", "training"):
            yield f"DDPM++ of the preset fashion-mnist, batch {batch}", task, engines


    if "diffusers" in args.networks:
        batch = 16
        x = images(batch, 3, 32)
        inputs = [x, torch.arange(batch) * 60.0]
        engines = {
            "PyTorch f32": Torch(torch_diffusers.Net, inputs, x),
            "PyTorch f32 channels_last": Torch(torch_diffusers.Net, inputs, x, last=True),
            "pfgm": Pfgm(str(HERE / "ddpm-cifar10-32.toml"), "--shape", "32x32x3", "--batch", str(batch)),
        }
        for task in ("inference", "training"):
            yield f"UNet2DModel of ddpm-cifar10-32, batch {batch}", task, engines


# Fraction of the fastest reading that counts as full speed, for arithmetic and for memory.
GATE = (0.0, 0.0) if args.any_speed else (0.9, 0.5)
F = torch.nn.functional
def best(a, b):
    return max(a[0], b[0]), max(a[1], b[1])


fastest = (0, 0)
for _ in range(20):
    fastest = best(fastest, probe())
report = []
for network, task, engines in cases():
    samples = {name: [] for name in engines}
    tries = 0
    while min(map(len, samples.values())) < args.rounds and tries < 12 * args.rounds:
        tries += 1
        for name, engine in engines.items():
            if len(samples[name]) >= args.rounds:
                continue
            before = probe()
            milliseconds = engine.time(task)
            after = probe()
            fastest = best(best(fastest, before), after)
            if all(min(b, a) >= share * f for b, a, f, share in zip(before, after, fastest, GATE)):
                samples[name].append(milliseconds)
    medians = {name: statistics.median(times) if times else float("nan") for name, times in samples.items()}
    print(f"\n{network}, {task}: medians of {args.rounds}, processor at {fastest[0]:.0f} GFLOP/s and {fastest[1]:.0f} GB/s")
    for name, median in medians.items():
        times = samples[name]
        spread = f"{min(times):.1f} to {max(times):.1f}" if times else "no sample at full speed"
        print(f"  {name:28} {median:8.2f} ms  ({spread})  pfgm takes {medians['pfgm'] / median:.2f} of it", flush=True)
        report.append({"network": network, "task": task, "engine": name, "median_ms": median, "samples_ms": times})
if args.json:
    Path(args.json).write_text(json.dumps({"peak_gflops": fastest[0], "bandwidth_gbs": fastest[1], "torch": torch.__version__, "results": report}, indent=1))
