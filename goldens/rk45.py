"""Numbers for crates/flow/tests/solvers.rs: SciPy's RK45 on the exact field of three charges.

Run with `pip install numpy scipy`, then `python3 goldens/rk45.py`.
"""

import numpy as np
from scipy.integrate import solve_ivp

CHARGES = np.array([[0.5, 0.25], [-1.0, 0.75], [0.25, -0.5]])
STARTS = np.array([[30.0, -4.0], [-2.0, 55.0], [0.5, 0.125]])
HIGH, LOW = 40.0, 1e-2


def velocity(augmentation):
    def f(t, x):
        sigma = np.exp(t)
        squared = ((x - CHARGES) ** 2).sum(1)
        if np.isinf(augmentation):
            logits = -0.5 * squared / sigma**2
        else:
            logits = -0.5 * (2 + augmentation) * np.log1p(squared / (augmentation * sigma**2))
        weights = np.exp(logits - logits.max())
        return x - (weights / weights.sum()) @ CHARGES

    return f


for augmentation in (1.0, 128.0, np.inf):
    for tolerance in (1e-4, 1e-8):
        for start in STARTS:
            solution = solve_ivp(
                velocity(augmentation), (np.log(HIGH), np.log(LOW)), start, method="RK45", rtol=tolerance, atol=tolerance
            )
            x, y = solution.y[:, -1]
            print(f"({augmentation}, {tolerance}, [{start[0]}, {start[1]}], {solution.nfev}, [{float(x)!r}, {float(y)!r}]),")
