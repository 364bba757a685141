"""Samples and latents of a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import RandomState, as_array, count_of, points_of, seed_of
from ._fitted import Drawn, Fitted, number_of


class Sampling(Fitted):
    """``sample``, ``encode``, ``decode`` and ``interpolate``."""

    def sample(
        self,
        n: int | None = None,
        *,
        y: Any = None,
        random_state: RandomState = None,
        seeds: Sequence[int] | None = None,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        autoguide: Fitted | None = None,
        guidance_levels: tuple[float, float] | None = None,
        latent_scale: float = 1.0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n : int, optional
            How many. Default: as many as ``y`` or ``seeds`` has, or 1.
        y : class, or sequence of shape (n,), optional
            Class of all, or of each sample. Default: in the shares that the training data have.
        random_state : int, Generator or None
            Seed. Different integers give independent samples; ``sample(3)`` are the first of ``sample(10)`` with the same integer.
        seeds : sequence of int, optional
            The seed of each sample, as in ``pfgm sample --seeds``, instead of ``random_state``.
        solver : str or dict, optional
            Name of a solver (:func:`pfgm.solvers`) or its options. Default: the model's own, Heun's method with 18 steps.
        solver_steps : int, optional
            Steps of the solver.
        guidance : float, optional
            Scale of classifier-free guidance, or of ``autoguide``, which needs it; 1 disables it.
        autoguide : PoissonFlow, optional
            A weaker flow of the same data and D that guides: a smaller network, or one that was trained for fewer steps.
        guidance_levels : (float, float), optional
            The lowest and the highest noise level that are guided. Default: all are.
        latent_scale : float, default 1
            Factor of the latents: less than 1 gives more typical samples.
        batch_size : int, optional
            Samples that are computed together; samples do not depend on it.
        **solver_options
            Further options of the solver: ``rtol``, ``atol``, ``order``, ``schedule``, ``rho``, ``churn``, ``afs``, ...

        Returns
        -------
        Samples of shape (n, ...), or DataFrame
            Rows in the data's own units: float32, images clipped to the data's range.

        Examples
        --------
        >>> import pfgm
        >>> digits = pfgm.load("digits").sample(4, y=[1, 2, 3, 4], solver="ipndm", solver_steps=5, random_state=0)
        >>> digits.shape, digits.y.tolist()
        ((4, 8, 8), ['1', '2', '3', '4'])
        """
        how: dict[str, Any] = {"solver": solver, "solver_steps": solver_steps, "guidance": guidance}
        how |= {"latent_scale": latent_scale, "batch_size": batch_size, **solver_options}
        how |= {"autoguide": autoguide, "guidance_levels": guidance_levels}
        drawn = self._draw(n, y=y, random_state=random_state, seeds=seeds, **how)
        return self._result(drawn)

    def _draw(
        self,
        n: int | None = None,
        *,
        y: Any = None,
        random_state: RandomState = None,
        seeds: Sequence[int] | None = None,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        autoguide: Fitted | None = None,
        guidance_levels: tuple[float, float] | None = None,
        latent_scale: float = 1.0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Drawn:
        how, progress = self._how("sampling", solver, solver_steps, guidance, batch_size, solver_options)
        if n is None:
            each = y if isinstance(y, Iterable) and not isinstance(y, str) else None
            n = len(list(seeds)) if seeds is not None else 1 if each is None else len(list(each))
        n = count_of(n)
        if seeds is None:
            first = seed_of(random_state)
            seeds = [(first + index) % (1 << 64) for index in range(n)]
        if autoguide is not None and not isinstance(autoguide, Fitted):
            raise TypeError(f"autoguide: give a PoissonFlow, not {type(autoguide).__name__}")
        if guidance_levels is not None:
            levels = [number_of("guidance_levels", level) for level in guidance_levels]
            if len(levels) != 2:
                raise ValueError(f"guidance_levels: {len(levels)} numbers; give the lowest and the highest noise level")
            guidance_levels = (levels[0], levels[1])
        if len(seeds) != n:
            raise ValueError(f"seeds: {len(seeds)} seeds for {n} samples; give as many")
        what = {
            "seeds": [int(seed) for seed in seeds],
            "classes": None if y is None else self._class_names(y, n),
            "latent_scale": number_of("latent_scale", latent_scale),
            "autoguide": None if autoguide is None else autoguide._fitted(),
            "guidance_levels": guidance_levels,
        }
        with progress:
            return self._fitted().sample(what, how)

    def encode(
        self,
        X: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> npt.NDArray[np.float64]:
        """Move rows up the flow to their latents, points of the prior.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows in the data's own units.
        y : array of shape (n,), optional
            Class of each row. Default: the unconditional flow.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`sample`; the solver must lead up as well as down. Default: ``"rk45"`` with a tolerance of 1e-4.

        Returns
        -------
        ndarray of float64, shape (n, ...)
            Latents at the highest noise level, in units of the standardized data.
        """
        how, progress = self._how("encoding", solver, solver_steps, guidance, batch_size, solver_options)
        rows, n = self._rows(X, y)
        with progress:
            latents, _ = self._fitted().encode(rows, how)
        return np.asarray(latents).reshape((n, *self._row_shape))

    def decode(
        self,
        z: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Move latents down the flow to data: the inverse of :meth:`encode`.

        Parameters
        ----------
        z : array of shape (n, ...)
            Latents.
        y : class, or sequence of shape (n,), optional
            Class of the rows.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`encode`.

        Returns
        -------
        Samples of shape (n, ...), or DataFrame
        """
        how, progress = self._how("decoding", solver, solver_steps, guidance, batch_size, solver_options)
        flat, shape, _ = points_of(z, "z", int(np.prod(self._row_shape)))
        with progress:
            return self._result(self._fitted().decode(flat, self._class_names(y, shape[0]), how))

    def interpolate(self, a: Any, b: Any, n: int = 8, *, y: Any = None, **how: Any) -> Any:
        """Rows on the way from a to b: spherical interpolation of their latents.

        Parameters
        ----------
        a, b : array of shape (...)
            One row each, in the data's own units.
        n : int, default 8
            How many rows, both ends included.
        y : class, optional
            Class of the rows.
        **how
            As in :meth:`encode`.

        Returns
        -------
        Samples of shape (n, ...)
        """
        self._fitted()
        ends = [np.asarray(as_array(row, name)).reshape((1, *self._row_shape)) for row, name in ((a, "a"), (b, "b"))]
        start, end = (self.encode(row, None if y is None else [y], **how).reshape(-1) for row in ends)
        between = self._fitted().interpolate(start, end, count_of(n))
        return self.decode(np.asarray(between).reshape((-1, *self._row_shape)), y, **how)
