"""The field without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import Array, RandomState, count_of, doubles, levels_of, points_of, rows_of, seed_of
from ._denoisers import solve


class ExactField:
    """The field of the rows of an array as charges: the flow that a network learns, without a network.

    Parameters
    ----------
    X : array of shape (n, N) or (n, height, width[, channels])
        The charges. Points and noise levels are in the units of X; nothing is standardized.
    D : float, default 128
        Number of extra dimensions: 1 is PFGM, ``float("inf")`` the exact score of a Gaussian mixture.
    log_weights : array of shape (n,), optional
        Logarithm of each charge's weight. With log-likelihoods of a measurement, the field is that of the posterior distribution.

    Examples
    --------
    >>> import numpy as np, pfgm
    >>> field = pfgm.ExactField(np.array([[-1.0, 0.0], [1.0, 0.0]]), D=1)
    >>> field.yhat(np.array([[0.0, 0.0]]), sigma=0.5)
    array([[0., 0.]])
    >>> field.sample(3, random_state=0).shape
    (3, 2)
    """

    def __init__(self, X: Any, D: float = 128, *, log_weights: Any = None) -> None:
        array = rows_of(X, "X")
        charges = doubles(array, "X")
        if not np.isfinite(charges).all():
            row = int(np.argmax(~np.isfinite(charges.reshape(len(array), -1)).all(axis=1)))
            raise ValueError(f"X: row {row} has a value that is not finite; replace it")
        weights = None if log_weights is None else doubles(log_weights, "log_weights")
        self.D = float(D)
        self.row_shape = array.shape[1:]
        self._dim = int(np.prod(self.row_shape))
        self._native = _pfgm.ExactField(charges, self._dim, self.D, weights)
        self._farthest = float(np.sqrt((charges.reshape(len(array), -1) ** 2).sum(axis=1).max()))

    def __repr__(self) -> str:
        return f"ExactField(rows of shape {self.row_shape}, D={self.D:g})"

    def yhat(self, x: Any, sigma: Any) -> Array:
        """The field-weighted mean of the charges.

        Parameters
        ----------
        x : array of shape (n, ...)
            Points.
        sigma : float, or array of shape (n,)
            Noise levels.

        Returns
        -------
        ndarray of the shape of x
        """
        flat, shape, dtype = points_of(x, "x", self._dim)
        found = self._native.yhat(flat, levels_of(sigma, shape[0]))
        return np.asarray(found).reshape(shape).astype(dtype, copy=False)

    __call__ = yhat

    def vjp(self, x: Any, sigma: Any, v: Any) -> Array:
        """The product of v with the Jacobian of yhat, of each row.

        Parameters
        ----------
        x, sigma
            As in :meth:`yhat`.
        v : array of the shape of x

        Returns
        -------
        ndarray of the shape of x
        """
        flat, shape, dtype = points_of(x, "x", self._dim)
        vector, _, _ = points_of(v, "v", self._dim)
        if vector.size != flat.size:
            raise ValueError(f"v: {vector.size} values, but x has {flat.size}")
        _, product = self._native.vjp(flat, levels_of(sigma, shape[0]), vector)
        return np.asarray(product).reshape(shape).astype(dtype, copy=False)

    def log_density(self, x: Any, sigma: Any) -> npt.NDArray[np.float64]:
        """Logarithm of the density of the charges with noise of level sigma, in nats, in closed form; shape (n,)."""
        flat, shape, _ = points_of(x, "x", self._dim)
        return np.asarray(self._native.log_density(flat, levels_of(sigma, shape[0])))

    def prior(self, n: int, sigma: float, random_state: RandomState = None) -> npt.NDArray[np.float64]:
        """Points of the prior at noise level sigma, where the data are one point charge; shape (n, ...)."""
        first = seed_of(random_state)
        seeds = [(first + index) % (1 << 64) for index in range(count_of(n))]
        return np.asarray(self._native.prior(seeds, float(sigma))).reshape((n, *self.row_shape))

    def sample(
        self,
        n: int = 1,
        *,
        random_state: RandomState = None,
        sigma_max: float | None = None,
        sigma_min: float | None = None,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        **solver_options: Any,
    ) -> Array:
        """Draw rows by the flow along the field's lines.

        Parameters
        ----------
        n : int
            How many.
        random_state : int, Generator or None
            Seed.
        sigma_max, sigma_min : float, optional
            Highest and lowest noise level. Default: 100 and 1e-5 times the norm of the farthest charge.
        solver, solver_steps, **solver_options
            As in :func:`pfgm.solve`.

        Returns
        -------
        ndarray of shape (n, ...)
        """
        size = self._farthest or 1.0
        sigma_max = 100 * size if sigma_max is None else sigma_max
        sigma_min = 1e-5 * size if sigma_min is None else sigma_min
        x = self.prior(n, sigma_max, random_state)
        ends = solve(
            self,
            x,
            sigma_max=sigma_max,
            sigma_min=sigma_min,
            D=self.D,
            solver=solver,
            solver_steps=solver_steps,
            **solver_options,
        )
        return np.asarray(ends.x)
