"""azula's MMPS, DPS and PGDM on the mixture of crates/flow/examples/posterior_mixture.rs, with the same denoiser and as many steps.

Run with `pip install azula`, then `python3 bench/posterior_azula.py FOLDER`, where FOLDER has the draws of that example.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from azula.denoise import Denoiser, DiracPosterior
from azula.guidance import DPSSampler, MMPSDenoiser, PGDMSampler
from azula.linalg.covariance import IsotropicCovariance
from azula.noise import VESchedule
from azula.sample import HeunSampler

DIM, COMPONENTS, OUTPUTS, SPREAD, NOISE, DRAWS = 8, 5, 3, 0.3, 0.2, 1024
torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
k, j = np.mgrid[0:COMPONENTS, 0:DIM]
MEANS = torch.tensor(2 * np.sin(1 + 3 * k + 1.7 * (k + 1) * j))
i, j = np.mgrid[0:OUTPUTS, 0:DIM]
A = torch.tensor(np.cos(0.5 + i * j + 0.3 * j) / np.sqrt(8))
MEASURED = A @ (0.5 * (MEANS[0] + MEANS[1]))


class Mixture(Denoiser):
    def __init__(self):
        super().__init__()
        self.schedule = VESchedule(1e-3, 1e3)

    def forward(self, x, t, **kwargs):
        _, sigma = self.schedule(t)
        while sigma.ndim < x.ndim:
            sigma = sigma[..., None]
        variance = SPREAD**2 + sigma**2
        logits = -0.5 * ((x[..., None, :] - MEANS) ** 2).sum(-1) / variance
        shrink = SPREAD**2 / variance
        mean = shrink * x + (1 - shrink) * (torch.softmax(logits, -1) @ MEANS)
        return DiracPosterior(mean=mean)


def posterior(draws):
    covariance = SPREAD**2 * A @ A.T + NOISE**2 * torch.eye(OUTPUTS)
    missing = MEASURED - MEANS @ A.T
    weights = torch.exp(-0.5 * (missing * torch.linalg.solve(covariance, missing.T).T).sum(-1))
    component = torch.multinomial(weights, draws, replacement=True)
    y = MEANS[component] + SPREAD * torch.randn(draws, DIM)
    missing = MEASURED + NOISE * torch.randn(draws, OUTPUTS) - y @ A.T
    return y + SPREAD**2 * torch.linalg.solve(covariance, missing.T).T @ A


def distance(a, b):
    directions = torch.nn.functional.normalize(torch.randn(128, DIM, generator=torch.Generator().manual_seed(1)), dim=-1)
    a, b = (torch.sort(x @ directions.T, dim=0).values for x in (a, b))
    return ((a - b) ** 2).mean().sqrt().item()


exact, other = posterior(DRAWS), posterior(DRAWS)
print("| method | evaluations | sliced Wasserstein distance |\n|---|---|---|")
print(f"| exact draws | | {distance(other, exact):.4f} |")
for file in sorted(Path(sys.argv[1]).glob("*.f64")) if len(sys.argv) > 1 else []:
    print(f"| pfgm {file.stem} | | {distance(torch.tensor(np.fromfile(file)).reshape(-1, DIM), exact):.4f} |", flush=True)
denoiser, apply = Mixture(), lambda x: x @ A.T
inverse = torch.linalg.pinv(A)
for iterations in (1, 3):
    guided = MMPSDenoiser(
        denoiser, y=MEASURED, A=apply, cov_y=IsotropicCovariance(torch.tensor(NOISE**2)), solver="cg", iterations=iterations
    )
    sampler = HeunSampler(guided, steps=64, silent=True)
    x = sampler(sampler.init((DRAWS, DIM))).detach()
    print(f"| azula MMPS, {iterations} iterations | Heun, 64 steps | {distance(x, exact):.4f} |", flush=True)
for name, sampler in [
    ("DPS, zeta = 1", DPSSampler(denoiser, y=MEASURED, A=apply, zeta=1.0, steps=128, silent=True)),
    ("DPS, zeta = 1", DPSSampler(denoiser, y=MEASURED, A=apply, zeta=1.0, steps=1000, silent=True)),
    ("PGDM", PGDMSampler(denoiser, y=MEASURED, A=apply, A_inv=lambda y: y @ inverse.T, steps=128, silent=True)),
]:
    x = sampler(sampler.init((DRAWS, DIM))).detach()
    print(f"| azula {name} | {sampler.steps if hasattr(sampler, 'steps') else ''} steps | {distance(x, exact):.4f} |", flush=True)
