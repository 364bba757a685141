"""Numbers for crates/eval/src/scores: pytorch-fid's, torch-fidelity's and prdc's scores of the same features.

Run with `pip install torch pytorch-fid torch-fidelity prdc`, then `python3 goldens/metrics.py`.
"""

import contextlib
import io

import numpy as np
import torch
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_mmd


def hash32(x):
    x = np.asarray(x, dtype=np.uint64) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def features(seed, rows, dim):
    """As `testing::features` in crates/eval."""
    at = seed * 0x9E3779B9 + np.arange(rows)[:, None] * (dim + 1) + np.arange(dim + 1)
    noise = (hash32(at) >> 16).astype(np.int64)
    odd = seed % 2
    own = noise[:, :dim] * (1 + (np.arange(dim) + odd) % 3)
    return ((own + noise[:, 1:] + 20000 * odd) / 65536).astype(np.float32)


def pick(seed, rows, count):
    return np.argsort(hash32(seed * 7919 + np.arange(rows)), kind="stable")[:count]


def mmd(x, y):
    kernel = dict(kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0)
    return kernel_mmd(x.astype(np.float64), y.astype(np.float64), **kernel)


real, generated = features(0, 300, 16), features(1, 200, 16)
moments = lambda x: (x.astype(np.float64).mean(0), np.cov(x.astype(np.float64), rowvar=False))
print(f"let expected = {float(calculate_frechet_distance(*moments(real), *moments(generated)))!r};")
mmds = [mmd(real[pick(2 * i, 300, 50)], generated[pick(2 * i + 1, 200, 50)]) for i in range(5)]
print(f"let (mean, spread) = ({float(np.mean(mmds))!r}, {float(np.std(mmds))!r});")
print(f"close(found.mean, {float(mmd(real[:200], generated))!r});")
scores = isc_features_to_metric(torch.from_numpy(features(3, 205, 12)), splits=10, shuffle=False)
print(f"let (mean, spread) = ({scores['inception_score_mean']!r}, {scores['inception_score_std']!r});")
with contextlib.redirect_stdout(io.StringIO()):
    found = compute_prdc(features(0, 1300, 5), features(1, 1100, 5), nearest_k=3)
names = ["precision", "recall", "density", "coverage"]
print(f"let expected = [{', '.join(repr(float(found[name])) for name in names)}];")
