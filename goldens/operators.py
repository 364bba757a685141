"""Numbers for crates/flow/tests/operators.rs: SciPy's blur, NumPy's Fourier transform, scikit-image's Radon transform.

Run with `pip install numpy scipy scikit-image`, then `python3 goldens/operators.py`.
"""

import warnings

import numpy as np
from scipy import ndimage
from skimage.transform import downscale_local_mean, radon

warnings.filterwarnings("ignore")
SIDE = 6
IMAGE = np.fromfunction(lambda i, j: np.sin(1.0 + 0.7 * i) + np.cos(0.3 * i * j) + 0.1 * j, (SIDE, SIDE))
KERNEL = np.array([[0.1, 0.2, -0.3], [0.0, 0.5, 0.25], [0.05, -0.1, 0.3]])


def show(name, values):
    print(f"const {name}: [f64; {values.size}] = [{', '.join(repr(float(value)) for value in values.ravel())}];")


show("GAUSSIAN", ndimage.gaussian_filter(IMAGE, 1.2, mode="reflect", truncate=4.0))
show("KERNEL", ndimage.convolve(IMAGE, KERNEL, mode="reflect"))
show("SMALLER", downscale_local_mean(IMAGE, (3, 3)))
show("RADON", radon(IMAGE, theta=[0.0, 35.0, 90.0, 118.5], circle=True).T)
coefficients = np.fft.fft2(IMAGE, norm="ortho")
kept = np.fromfunction(lambda i, j: (i + 2 * j) % 4 == 0, (SIDE, SIDE))
show("FOURIER", np.stack([coefficients[kept].real, coefficients[kept].imag], -1))
