"""The cost model of docs/scaling.md: a fit to the measurements, and predictions for GPUs. Needs NumPy.

    python3 bench/scaling.py
"""
import math

import numpy as np

# One rank on one core, `pfgm --threads 1 bench digits --task training ...`: GFLOP of a step, millions of weights, best ms.
STEPS = [
    (6.95, 0.7156, 29.512),  # --batch 64
    (1.74, 0.7156, 10.357),  # --batch 16
    (3.48, 0.7156, 15.307),  # --batch 8 --shape 16x16x1
    (14.21, 0.7156, 49.985),  # --batch 8 --shape 32x32x1
    (6.94, 2.8504, 35.867),  # --batch 16 --set network.width=64
    (0.44, 0.1804, 4.861),  # --batch 16 --set network.width=16
]
# `mpirun -n 2 target/release/examples/allreduce`: MB, best ms.
SUMS = [(0.001, 0.120), (0.262, 0.154), (1.049, 0.366), (4.194, 0.829), (16.777, 3.110), (67.109, 12.706)]


def fit(rows):
    """Least squares of relative errors: factors, and predictions over measurements."""
    rows = np.array(rows)
    left = np.c_[rows[:, :-1], np.ones(len(rows))] / rows[:, -1:]
    factors, *_ = np.linalg.lstsq(left, np.ones(len(rows)), rcond=None)
    return factors, left @ factors


(per_gflop, per_weight, fixed), errors = fit(STEPS)
print(f"step = {per_gflop:.2f} ms/GFLOP + {per_weight:.2f} ms/M weights + {fixed:.2f} ms   model/measured {errors.round(2)}")
(per_mb, latency), errors = fit(SUMS)
print(f"sum  = {per_mb:.3f} ms/MB + {latency:.3f} ms   model/measured {errors.round(2)}")

# EDM's DDPM++ for CIFAR-10: `pfgm bench cifar10-edm --shape 32x32x3 --batch 1 --task training` says GFLOP.
WEIGHTS, GFLOP = 55.73e6, 127.1
# Assumptions for each GPU and host: sustained FLOP/s, copies between GPU and host, sums in a host's memory, network of a host,
# latency of a message, minimum time to launch the kernels of a step.
RATE, COPY, MEMORY, NETWORK, MESSAGE, LAUNCH = 20e12, 20e9, 10e9, 25e9, 10e-6, 20e-3
GPUS = 8  # per host


def predicted(gpus, batch):
    size = 4 * WEIGHTS
    compute = max(LAUNCH, GFLOP * 1e9 * batch / gpus / RATE)
    hosts = max(1, gpus // GPUS)
    inside = 2 * (GPUS - 1) / GPUS * size / MEMORY
    # All eight ranks of a host share one network card, and each sum passes it once.
    outside = 2 * (hosts - 1) / hosts * size / NETWORK
    messages = 2 * math.log2(gpus) * MESSAGE * math.ceil(size / 2**20)
    exchange = 2 * size / COPY + inside + outside + messages
    return compute, exchange


for title, batch_of in [("batch 512", lambda gpus: 512), ("64 a GPU", lambda gpus: 64 * gpus)]:
    one = max(LAUNCH, GFLOP * 1e9 * batch_of(1) / RATE)
    print(f"\n{title}: GPUs, compute ms, exchange ms, images/s, efficiency")
    for gpus in (8, 64, 512):
        batch = batch_of(gpus)
        compute, exchange = predicted(gpus, batch)
        rate = batch / (compute + exchange)
        print(f"{gpus:5} {1e3 * compute:9.1f} {1e3 * exchange:9.1f} {rate:9.0f} {rate / (gpus * batch_of(1) / one):9.2f}")
