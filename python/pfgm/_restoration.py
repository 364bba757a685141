"""Rows from what was measured of them: posterior draws, denoising, inpainting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import RandomState, as_array, count_of, seed_of
from ._display import Samples
from ._fitted import Fitted, number_of
from ._operators import operator_of


class Restoration(Fitted):
    """``posterior``, ``denoise`` and ``inpaint``."""

    def posterior(
        self,
        a: Any,
        *,
        operator: Any,
        noise: float,
        n: int = 1,
        y: Any = None,
        random_state: RandomState = None,
        method: str = "mmps",
        iterations: int = 4,
        zeta: float = 1.0,
        particles: int = 64,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Draw rows from their posterior distribution given a linear measurement ``a = A x + noise``.

        Parameters
        ----------
        a : array of shape (M,), or (measurements, M)
            The measurement, or several. With a mask, also whole rows, of which the known values are taken.
        operator : array of shape (M, N), mask of a row's shape, or object with ``matvec`` and ``rmatvec``
            A, on rows in the data's own units, flattened.
        noise : float
            Standard deviation of the measurement's noise, in its units.
        n : int, default 1
            Draws for each measurement; they follow one another.
        y : class, or sequence of shape (measurements,), optional
            Class of the rows.
        random_state : int, Generator or None
            Seed.
        method : {"mmps", "pigdm", "dps", "tds"}
            How the flow is conditioned: by an approximation of the covariance of the data given a point, by steps along the gradient
            of the error (DPS), or by weighted particles (TDS), which are exact as their number grows.
        iterations : int, default 4
            Steps of conjugate gradients of MMPS.
        zeta : float, default 1
            Size of DPS's steps.
        particles : int, default 64
            Particles of TDS for each measurement, at least ``n``.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`sample`.

        Returns
        -------
        Samples of shape (measurements * n, ...), or a table
        """
        how, progress = self._how("posterior", solver, solver_steps, guidance, batch_size, solver_options)
        native, values, measurements = operator_of(operator, a, self._row_shape)
        measured = {
            "a": values.tolist(),
            "noise": number_of("noise", noise),
            "n": count_of(n),
            "seed": seed_of(random_state),
            "classes": self._class_names(y, measurements),
            "method": method,
            "iterations": count_of(iterations, "iterations"),
            "zeta": number_of("zeta", zeta),
            "particles": count_of(particles, "particles"),
        }
        with progress:
            return self._result(self._fitted().posterior(measured, native, how))

    def denoise(
        self,
        X: Any,
        sigma: float | None = None,
        *,
        y: Any = None,
        mean: bool = False,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Remove Gaussian noise from rows, by the flow from the noise level of the rows down to the data.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows with noise, in the data's own units.
        sigma : float, optional
            Standard deviation of the noise in the model's space, where images lie in [-1, 1] and columns are standardized.
            Default: estimated for each image from its finest Haar coefficients.
        y : array of shape (n,), optional
            Class of each row.
        mean : bool, default False
            Whether the result is the mean of the rows that are possible, from one evaluation, instead of one of them.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`sample`.

        Returns
        -------
        Samples of shape (n, ...), or a table
            An array has the attribute ``sigma``, the noise level of each row.

        Examples
        --------
        >>> import numpy as np, pfgm
        >>> X, _ = pfgm.datasets.load_digits()
        >>> noisy = X[:2] + np.random.default_rng(0).normal(0, 3, (2, 8, 8))
        >>> clean = pfgm.load("digits").denoise(noisy.clip(0, 16), 3 / 8, mean=True)
        >>> clean.shape, bool(np.abs(clean - X[:2]).mean() < np.abs(noisy - X[:2]).mean())
        ((2, 8, 8), True)
        """
        how, progress = self._how("denoising", solver, solver_steps, guidance, batch_size, solver_options)
        rows, _ = self._rows(X, y)
        what = {"sigma": None if sigma is None else number_of("sigma", sigma), "is_mean": bool(mean)}
        with progress:
            drawn, levels = _pfgm.denoise(self._fitted(), rows, what, how)
        result = self._result(drawn)
        if isinstance(result, Samples):
            result.sigma = np.array(levels)
        return result

    def inpaint(
        self,
        X: Any,
        known: Any,
        n: int = 1,
        *,
        y: Any = None,
        steps: int = 100,
        rounds: int = 10,
        random_state: RandomState = None,
        batch_size: int | None = None,
    ) -> Any:
        """Fill the unknown values of rows: RePaint (arXiv 2201.09865) along the flow.

        :meth:`posterior` with a mask does it with noise, and without repeated steps.

        Parameters
        ----------
        X : array of shape (rows, ...), or a table
            Rows in the data's own units; their unknown values are ignored, but must be finite.
        known : array of bool of a row's shape, or names of columns
            Which values are known; the same for all rows.
        n : int, default 1
            Completions of each row; they follow one another.
        y : array of shape (rows,), optional
            Class of each row.
        steps : int, default 100
            Noise levels.
        rounds : int, default 10
            Resampling rounds at each of them.
        random_state : int, Generator or None
            Seed.
        batch_size : int, optional
            Rows that are computed together; results do not depend on it.

        Returns
        -------
        Samples of shape (rows * n, ...), or a table

        Examples
        --------
        >>> import numpy as np, pfgm
        >>> X, _ = pfgm.datasets.load_digits()
        >>> upper = np.arange(8)[:, None].repeat(8, 1) < 4
        >>> filled = pfgm.load("digits").inpaint(X[:1], upper, n=3, steps=20, rounds=2, random_state=0)
        >>> filled.shape, bool(np.abs(filled - X[:1])[:, upper].max() < 1e-3)
        ((3, 8, 8), True)
        """
        how, progress = self._how("inpainting", None, None, None, batch_size, {})
        rows, _ = self._rows(X, y)
        what = {
            "known": self._known(known).tolist(),
            "n": count_of(n),
            "steps": count_of(steps, "steps"),
            "rounds": count_of(rounds, "rounds"),
            "seed": seed_of(random_state),
        }
        with progress:
            return self._result(_pfgm.inpaint(self._fitted(), rows, what, how))

    def _known(self, known: Any) -> npt.NDArray[np.bool_]:
        """Which numbers of a row are known, from a mask or from names of columns."""
        names = [known] if isinstance(known, str) else known
        if self._columns is not None and not isinstance(known, np.ndarray) and all(isinstance(name, str) for name in names):
            return self._columns.mask(names)
        mask = as_array(known, "known")
        if mask.dtype != np.bool_ or mask.size != int(np.prod(self._row_shape)):
            shape = "x".join(map(str, mask.shape))
            raise ValueError(f"known: {mask.dtype} of shape {shape}; give one bool for each value of a row of shape {self._row_shape}")
        return np.ascontiguousarray(mask).reshape(-1)
