"""The flow's algorithms on any denoiser: a function, a module of PyTorch, an exact field."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import RandomState, as_array, count_of, doubles, is_tensor, points_of, seed_of, solver_json
from ._operators import operator_of

if TYPE_CHECKING:
    from ._exact import ExactField

#: A function of points of shape (n, ...) and noise levels of shape (n,) that returns yhat of the points' shape.
DenoiserFunction = Callable[[Any, Any], Any]
#: A function of points, noise levels and vectors that returns the products of the vectors with the Jacobian of yhat.
ProductFunction = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Solution:
    """Where points ended.

    Attributes
    ----------
    x : array of the kind and shape of the points that were given
    nfe : float
        Evaluations of the denoiser a row, on average.
    """

    x: Any
    nfe: float


def _space(
    points: tuple[int, ...],
    sigma_max: float,
    sigma_min: float,
    D: float,
    solver: str,
    *,
    reverse: bool = False,
    random_state: RandomState = None,
) -> dict[str, Any]:
    return {
        "dim": int(np.prod(points[1:])),
        "extra_dims": float(D),
        "sigma_min": float(sigma_min),
        "sigma_max": float(sigma_max),
        "solver": solver,
        "is_reverse": reverse,
        "seed": seed_of(random_state),
    }


class _Adapter:
    """Calls a denoiser with arrays of the kind that the caller gave, and returns flat arrays of double precision."""

    def __init__(self, like: Any, row_shape: tuple[int, ...]) -> None:
        self.row_shape = row_shape
        self.like = like if is_tensor(like) else None
        array = as_array(like, "x")
        self.dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)

    def give(self, flat: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Any:
        """A flat array as the callable gets it."""
        array = flat.reshape(shape).astype(self.dtype)
        if self.like is None:
            return array
        torch: Any = sys.modules["torch"]
        return torch.from_numpy(array).to(device=self.like.device, dtype=self.like.dtype)

    def take(self, value: Any, size: int, name: str) -> npt.NDArray[np.float64]:
        """What the callable returned, as a flat array."""
        flat = doubles(value, name)
        if flat.size != size:
            raise ValueError(f"{name}: returned {flat.size} values for points of {size}; return an array of the points' shape")
        return flat

    def function(self, denoiser: DenoiserFunction) -> Callable[..., Any]:
        """The denoiser as the native half calls it."""

        def call(x: npt.NDArray[np.float64], sigma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            points = self.give(x, (len(sigma), *self.row_shape))
            return self.take(self._quiet(denoiser, points, self.give(sigma, (len(sigma),))), x.size, "denoiser")

        return call

    def _quiet(self, denoiser: DenoiserFunction, x: Any, sigma: Any) -> Any:
        if self.like is None:
            return denoiser(x, sigma)
        torch: Any = sys.modules["torch"]
        with torch.no_grad():
            return denoiser(x, sigma)

    def product(self, denoiser: DenoiserFunction, vjp: ProductFunction | None) -> Callable[..., Any] | None:
        """The function of products as the native half calls it; for tensors, PyTorch's own if none is given."""
        if vjp is None and self.like is None:
            return None

        def call(
            x: npt.NDArray[np.float64], sigma: npt.NDArray[np.float64], v: npt.NDArray[np.float64]
        ) -> npt.NDArray[np.float64]:
            shape = (len(sigma), *self.row_shape)
            points, levels, vector = self.give(x, shape), self.give(sigma, (len(sigma),)), self.give(v, shape)
            if vjp is not None:
                return self.take(vjp(points, levels, vector), x.size, "vjp")
            torch: Any = sys.modules["torch"]
            with torch.enable_grad():
                points.requires_grad_(True)
                (product,) = torch.autograd.grad(denoiser(points, levels), points, vector)
            return self.take(product, x.size, "vjp")

        return call

    def result(self, flat: Any, shape: tuple[int, ...]) -> Any:
        """Points as the caller gets them: tensors for tensors, otherwise arrays."""
        array = np.asarray(flat).reshape(shape)
        return array.astype(self.dtype, copy=False) if self.like is None else self.give(array.reshape(-1), shape)


def _source(denoiser: Any, vjp: ProductFunction | None, adapter: _Adapter) -> Any:
    native = getattr(denoiser, "_native", None)
    if isinstance(native, _pfgm.ExactField):
        return native
    if not callable(denoiser):
        raise ValueError(f"denoiser: {type(denoiser).__name__} cannot be called; give a function (x, sigma) -> yhat")
    return (adapter.function(denoiser), adapter.product(denoiser, vjp))


def solve(
    denoiser: ExactField | DenoiserFunction,
    x: Any,
    *,
    sigma_max: float,
    sigma_min: float,
    D: float = math.inf,
    reverse: bool = False,
    random_state: RandomState = 0,
    solver: str | Mapping[str, Any] | None = None,
    solver_steps: int | None = None,
    **solver_options: Any,
) -> Solution:
    """Integrate the flow ``dx / d ln sigma = x - yhat(x, sigma)`` of any denoiser.

    Parameters
    ----------
    denoiser : callable (x, sigma) -> yhat, or ExactField
        Gets points of shape (n, ...) and noise levels of shape (n,), of the type of ``x`` (tensors if ``x`` is one). An exception that
        it raises arrives unchanged.
    x : array or tensor of shape (n, ...)
        Where the points start: at ``sigma_max``, or with ``reverse`` at ``sigma_min``.
    sigma_max, sigma_min : float
        The noise levels.
    D : float, default infinity
        Number of extra dimensions; only stochastic solvers depend on it.
    reverse : bool
        From data up to noise.
    random_state : int, Generator or None
        Seed of stochastic solvers.
    solver : str or dict, optional
        Name or options. Default: Heun's method with 18 steps, and ``"rk45"`` with ``reverse``.
    solver_steps : int, optional
        Steps of the solver.
    **solver_options
        ``rtol``, ``atol``, ``order``, ``schedule``, ``rho``, ``levels``, ``churn``, ...

    Returns
    -------
    Solution
        With ``x`` and ``nfe``.

    Examples
    --------
    The flow of a Gaussian with standard deviation 0.5, for which yhat is known:

    >>> import numpy as np, pfgm
    >>> def yhat(x, sigma):
    ...     return x * (0.25 / (0.25 + sigma**2))[:, None]
    >>> ends = pfgm.solve(yhat, np.array([[80.0]]), sigma_max=80, sigma_min=0.002, solver="rk45", rtol=1e-6)
    >>> ends.x.round(3)
    array([[0.5]])
    """
    array = as_array(x, "x")
    flat, shape, _ = points_of(array, "x", int(np.prod(array.shape[1:])))
    adapter = _Adapter(x, shape[1:])
    options = solver_json(solver, solver_steps, solver_options)
    space = _space(shape, sigma_max, sigma_min, D, options, reverse=reverse, random_state=random_state)
    ends, nfe = _pfgm.solve(_source(denoiser, None, adapter), flat, space)
    return Solution(adapter.result(ends, shape), nfe)


def log_likelihood(
    denoiser: ExactField | DenoiserFunction,
    x: Any,
    *,
    sigma_max: float,
    sigma_min: float,
    D: float = math.inf,
    vjp: ProductFunction | None = None,
    trace: str = "auto",
    n_probes: int = 1,
    random_state: RandomState = 0,
    solver: str | Mapping[str, Any] | None = None,
    solver_steps: int | None = None,
    **solver_options: Any,
) -> npt.NDArray[np.float64]:
    """Logarithm of the density of points under the flow of any denoiser, by the change of variables.

    Parameters
    ----------
    denoiser : callable (x, sigma) -> yhat, or ExactField
        As in :func:`solve`.
    x : array or tensor of shape (n, ...)
        Points at ``sigma_min``.
    sigma_max, sigma_min, solver, solver_steps, **solver_options
        As in :func:`solve`; the default solver is ``"rk45"``.
    D : float, default infinity
        Number of extra dimensions, which the prior depends on.
    vjp : callable (x, sigma, v) -> product, optional
        Products of v with the Jacobian of yhat. Default: PyTorch's gradients for tensors, otherwise central differences.
    trace : {"auto", "exact", "rademacher", "gaussian"}
        The divergence: exact, with N evaluations, or Hutchinson's estimate. ``"auto"`` is exact for rows of at most 128 values.
    n_probes : int
        Probes of the estimate.
    random_state : int, Generator or None
        Seed of the probes.

    Returns
    -------
    ndarray of float64, shape (n,)
        Nats, in the units of ``x``.

    Examples
    --------
    >>> import numpy as np, pfgm
    >>> def yhat(x, sigma):
    ...     return x * (1 / (1 + sigma**2))[:, None]
    >>> logs = pfgm.log_likelihood(yhat, np.array([[0.0], [1.0]]), sigma_max=80, sigma_min=1e-3)
    >>> bool(abs(logs - (-0.5 * np.log(2 * np.pi) - np.array([0, 0.5]))).max() < 1e-2)
    True
    """
    array = as_array(x, "x")
    flat, shape, _ = points_of(array, "x", int(np.prod(array.shape[1:])))
    adapter = _Adapter(x, shape[1:])
    if trace not in ("auto", "exact", "rademacher", "gaussian"):
        raise ValueError(f"trace: unknown trace {trace!r}, expected auto, exact, rademacher or gaussian")
    if trace == "auto":
        trace = "exact" if int(np.prod(shape[1:])) <= 128 and n_probes == 1 else "rademacher"
    space = _space(shape, sigma_max, sigma_min, D, solver_json(solver, solver_steps, solver_options))
    what = {"trace": trace, "n_probes": count_of(n_probes, "n_probes"), "n_draws": 1, "seed": seed_of(random_state)}
    logs, _ = _pfgm.log_likelihood(_source(denoiser, vjp, adapter), flat, space, what)
    return np.asarray(logs)


def posterior(
    denoiser: ExactField | DenoiserFunction,
    a: Any,
    *,
    operator: Any,
    noise: float,
    row_shape: tuple[int, ...] | None = None,
    sigma_max: float,
    sigma_min: float,
    n: int = 1,
    D: float = math.inf,
    vjp: ProductFunction | None = None,
    method: str = "mmps",
    iterations: int = 4,
    zeta: float = 1.0,
    spread: float = 1.0,
    like: Any = None,
    random_state: RandomState = None,
    solver: str | Mapping[str, Any] | None = None,
    solver_steps: int | None = None,
    **solver_options: Any,
) -> Any:
    """Draw points from the posterior distribution of any denoiser's flow given a linear measurement ``a = A x + noise``.

    Parameters
    ----------
    denoiser : callable (x, sigma) -> yhat, or ExactField
        As in :func:`solve`.
    a, operator, noise, n, method, iterations, zeta, random_state
        As in :meth:`PoissonFlow.posterior`, for one measurement and without ``"tds"``.
    row_shape : tuple of int, optional
        Shape of a point. Default: the field's, or from the operator.
    sigma_max, sigma_min, D, solver, solver_steps, **solver_options
        As in :func:`solve`.
    vjp : callable (x, sigma, v) -> product, optional
        Products of v with the Jacobian of yhat; needed unless ``like`` is a tensor, or the denoiser an ExactField.
    spread : float, default 1
        Standard deviation of the data, for PiGDM.
    like : array or tensor, optional
        Points are given to the denoiser with its type (and as tensors on its device). Default: float64 arrays.

    Returns
    -------
    array or tensor of shape (n, ...)
    """
    if row_shape is None:
        own: tuple[int, ...] | None = getattr(denoiser, "row_shape", None)
        row_shape = own or (int(operator.shape[-1]),)
    adapter = _Adapter(np.zeros((1, 1)) if like is None else like, row_shape)
    source = _source(denoiser, vjp, adapter)
    if isinstance(source, tuple) and source[1] is None:
        raise ValueError("vjp: posterior sampling needs the Jacobian; give a function (x, sigma, v), or a tensor as `like`")
    native, values, count = operator_of(operator, a, row_shape)
    if count != 1:
        raise ValueError(f"a: {count} measurements; give one")
    shape = (count_of(n), *row_shape)
    space = _space(shape, sigma_max, sigma_min, D, solver_json(solver, solver_steps, solver_options))
    measured = {
        "a": values.tolist(),
        "noise": float(noise),
        "n": shape[0],
        "seed": seed_of(random_state),
        "classes": [],
        "method": method,
        "iterations": count_of(iterations, "iterations"),
        "zeta": float(zeta),
        "particles": 0,
    }
    x, _ = _pfgm.posterior(source, measured, native, space, float(spread))
    return adapter.result(x, shape)
