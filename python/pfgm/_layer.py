"""The network of a flow as a function, with its vector-Jacobian product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import Array, doubles, levels_of, points_of
from ._fitted import Fitted


class Layer(Fitted):
    """``yhat`` and ``vjp``, in the space that the network works in, and the ways there and back."""

    def yhat(self, x: Any, sigma: Any, y: Any = None) -> Array:
        """The network's estimate of the field-weighted mean of the charges: a denoiser.

        Parameters
        ----------
        x : array of shape (n, ...)
            Points of the model's space; see :meth:`to_model_space`.
        sigma : float, or array of shape (n,)
            Noise levels.
        y : class, or sequence of shape (n,), optional
            Class of each point.

        Returns
        -------
        ndarray of the shape and type of x
        """
        model = self._fitted()
        flat, shape, dtype = points_of(x, "x", int(np.prod(self._row_shape)))
        found = model.yhat(flat, levels_of(sigma, shape[0]), self._class_names(y, shape[0]))
        return np.asarray(found).reshape(shape).astype(dtype, copy=False)

    def vjp(self, x: Any, sigma: Any, v: Any, y: Any = None) -> Array:
        """The product of v with the Jacobian of yhat, ``v^T (d yhat / d x)``, of each row: what backpropagation through yhat needs.

        Parameters
        ----------
        x, sigma, y
            As in :meth:`yhat`.
        v : array of the shape of x
            A vector for each point.

        Returns
        -------
        ndarray of the shape and type of x
        """
        model = self._fitted()
        flat, shape, dtype = points_of(x, "x", int(np.prod(self._row_shape)))
        vector = doubles(v, "v")
        names = self._class_names(y, shape[0])
        _, product = model.vjp(flat, levels_of(sigma, shape[0]), names, vector)
        return np.asarray(product).reshape(shape).astype(dtype, copy=False)

    def to_model_space(self, X: Any) -> npt.NDArray[np.float64]:
        """Rows as points of the model's space: columns standardized, images scaled to [-1, 1]; shape (n, ...), float64."""
        rows, n = self._rows(X)
        return np.asarray(self._fitted().to_model_space(rows)).reshape((n, *self._row_shape))

    def to_data_units(self, x: Any) -> Any:
        """Points of the model's space as rows in the data's own units: the inverse of :meth:`to_model_space`."""
        model = self._fitted()
        flat, shape, _ = points_of(x, "x", int(np.prod(self._row_shape)))
        return self._result((np.asarray(model.to_data_units(flat)), [None] * shape[0], math.nan))
