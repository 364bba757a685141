"""Numbers for crates/flow/tests/reverse_sde.rs: mean and variance that the stochastic samplers produce for Gaussian data.

The score of data N(1, 0.25) is linear, so a sampler's chain stays Gaussian and its mean and variance follow from two recursions. The
formulas are those of arXiv 2011.13456, in the coordinates of each process. Run with `python3
goldens/reverse_sde.py`.
"""

import math

MEAN, VARIANCE = 1.0, 0.25
B0, B1 = 0.1, 20.0
LOW, HIGH = 0.01, 50.0
EPS = 1e-3


def alpha(t):
    return math.exp(-t * t * (B1 - B0) / 4 - t * B0 / 2)


def std(process, t):
    if process == "Ve":
        return LOW * (HIGH / LOW) ** t
    return math.sqrt(1 - alpha(t) ** 2) if process == "VP" else 1 - alpha(t) ** 2


def run(process, predictor, steps):
    last = 0.0 if process == "Ve" else EPS
    times = [1.0 + i / (steps - 1) * (last - 1.0) for i in range(steps)]
    mean, variance = 0.0, std(process, 1.0) ** 2
    if process != "Ve":
        # The flow's latent, scaled: N(0, (mean sigma)^2) is N(0, std^2).
        variance = std(process, 1.0) ** 2
    for index, t in enumerate(times):
        a, s = (1.0, std(process, t)) if process == "Ve" else (alpha(t), std(process, t))
        # score = (a m - x) / (a^2 v + s^2)
        total = a * a * VARIANCE + s * s
        beta = (B0 + t * (B1 - B0)) / steps
        if process == "Ve":
            before = std(process, times[index + 1]) if index + 1 < steps else 0.0
            drop = s * s - before * before
            if predictor == "EulerMaruyama":
                square = 2 * s * s * math.log(HIGH / LOW) / steps
                carry, score, noise = 1.0, square, math.sqrt(square)
            elif predictor == "ReverseDiffusion":
                carry, score, noise = 1.0, drop, math.sqrt(drop)
            else:
                carry, score, noise = 1.0, drop, math.sqrt(before * before * drop / (s * s))
        elif predictor == "Ancestral":
            carry, score, noise = 1 / math.sqrt(1 - beta), beta / math.sqrt(1 - beta), math.sqrt(beta)
        elif predictor == "ReverseDiffusion" and process == "VP":
            carry, score, noise = 2 - math.sqrt(1 - beta), beta, math.sqrt(beta)
        else:
            square = beta if process == "VP" else beta * (1 - alpha(t) ** 4)
            carry, score, noise = 1 + 0.5 * beta, square, math.sqrt(square)
        if index == steps - 1:
            noise = 0.0
        factor = carry - score / total
        mean = factor * mean + score * a * MEAN / total
        variance = factor * factor * variance + noise * noise
    return mean, variance


for process, name in (("Ve", "Process::Ve"), ("VP", "Process::VP"), ("SUB_VP", "Process::SUB_VP")):
    for predictor in ("EulerMaruyama", "ReverseDiffusion", "Ancestral"):
        if (process, predictor) == ("SUB_VP", "Ancestral"):
            continue
        for steps in (60, 1000):
            mean, variance = run(process, predictor, steps)
            print(f"({name}, Predictor::{predictor}, {steps}, {mean:.6f}, {variance:.6f}),")
