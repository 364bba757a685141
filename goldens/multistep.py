"""Numbers for crates/flow/tests/multistep.rs: the multistep methods on the exact field of three charges.

Written from the papers' equations in a different form than the library: integrals of interpolating polynomials by Gauss-Legendre quadrature,
UniPC by solving its equations for the coefficients. Run with `pip install numpy`, then `python3 goldens/multistep.py`.
"""

import math

import numpy as np

CHARGES = np.array([[0.5, 0.25], [-1.0, 0.75], [0.25, -0.5]])
START = np.array([30.0, -4.0])
HIGH, LOW, STEPS = 40.0, 1e-2, 12
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)


def yhat(augmentation, x, sigma):
    squared = ((x - CHARGES) ** 2).sum(1)
    if np.isinf(augmentation):
        logits = -0.5 * squared / sigma**2
    else:
        logits = -0.5 * (2 + augmentation) * np.log1p(squared / (augmentation * sigma**2))
    weights = np.exp(logits - logits.max())
    return (weights / weights.sum()) @ CHARGES


def integral(function, a, b):
    points = 0.5 * (b - a) * NODES + 0.5 * (a + b)
    return 0.5 * (b - a) * sum(w * function(p) for w, p in zip(WEIGHTS, points))


def polynomial(nodes, values, at):
    total = 0.0
    for j, value in enumerate(values):
        factor = 1.0
        for i in range(len(nodes)):
            if i != j:
                factor *= (at - nodes[i]) / (nodes[j] - nodes[i])
        total = total + factor * value
    return total


def ipndm(x, sigmas, noises, to):
    table = [[1], [1.5, -0.5], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
    return x + (to - sigmas[0]) * sum(c * d for c, d in zip(table[len(noises) - 1], noises))


def deis(x, sigmas, noises, to):
    return x + integral(lambda s: polynomial(sigmas, noises, s), sigmas[0], to)


def dpmpp(x, sigmas, data, to):
    lambdas, end = [-math.log(s) for s in sigmas], -math.log(to)
    h = end - lambdas[0]
    if len(data) == 1:
        return to / sigmas[0] * x - math.expm1(-h) * data[0]
    if len(data) == 2:
        r = (lambdas[0] - lambdas[1]) / h
        return to / sigmas[0] * x - math.expm1(-h) * ((1 + 0.5 / r) * data[0] - 0.5 / r * data[1])
    weighted = lambda l: math.exp(-(end - l)) * polynomial(lambdas, data, l)
    return to / sigmas[0] * x + integral(weighted, lambdas[0], end)


def unified(x, sigmas, data, to, ratios, differences):
    """x - (1 - e^-h) B-weighted differences: a solves R a = b with R[k, m] = r_m^k, b from Taylor's terms."""
    h = math.log(sigmas[0] / to)
    base = to / sigmas[0] * x - math.expm1(-h) * data[0]
    b_of_h = -math.expm1(-h)
    count = len(ratios)
    if count == 1:
        coefficients = np.array([0.5])
    else:
        matrix = np.array([[r**k for r in ratios] for k in range(count)])
        right = [
            integral(lambda t, k=k: math.exp(-(h - t)) * t ** (k + 1), 0.0, h) / (h ** (k + 1) * b_of_h) for k in range(count)
        ]
        coefficients = np.linalg.solve(matrix, right)
    return base + b_of_h * sum(a * d / r for a, d, r in zip(coefficients, differences, ratios))


def unipc(augmentation, order, grid):
    x, sigmas, data = START, [grid[0]], [yhat(augmentation, START, grid[0])]
    for index, to in enumerate(grid[1:]):
        p = min(order, len(data))
        h = math.log(sigmas[0] / to)
        ratios = [math.log(sigmas[0] / s) / h for s in sigmas[1:p]]
        differences = [d - data[0] for d in data[1:p]]
        if p == 1:
            predicted = to / sigmas[0] * x - math.expm1(-h) * data[0]
        else:
            predicted = unified(x, sigmas, data, to, ratios, differences)
        if index == len(grid) - 2:
            return predicted
        new = yhat(augmentation, predicted, to)
        x = unified(x, sigmas, data, to, ratios + [1.0], differences + [new - data[0]])
        sigmas, data = [to] + sigmas, [new] + data


def run(augmentation, method, order, grid):
    if method == "UniPc":
        return unipc(augmentation, order, grid)
    step = {"Ipndm": ipndm, "Deis": deis, "DpmPp": dpmpp}[method]
    x, sigmas, values = START, [], []
    for sigma, to in zip(grid, grid[1:]):
        value = yhat(augmentation, x, sigma)
        if method != "DpmPp":
            value = (x - value) / sigma
        sigmas, values = ([sigma] + sigmas)[:order], ([value] + values)[:order]
        x = step(x, sigmas, values, to)
    return x


GRID = [(HIGH ** (1 / 7) + i / STEPS * (LOW ** (1 / 7) - HIGH ** (1 / 7))) ** 7 for i in range(STEPS + 1)]
for augmentation in (1.0, np.inf):
    for method, orders in (("Ipndm", (1, 2, 3, 4)), ("Deis", (1, 2, 3, 4)), ("DpmPp", (1, 2, 3)), ("UniPc", (1, 2, 3))):
        for order in orders:
            x, y = run(augmentation, method, order, GRID)
            print(f"({augmentation}, Formula::{method}, {order}, [{x:.12f}, {y:.12f}]),")
