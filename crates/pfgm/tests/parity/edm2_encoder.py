"""Made edm2_encoder.pkl: the encoder of a snapshot of EDM2's networks of latents, with its numbers as arrays of NumPy, and without a network.

    python3 edm2_encoder.py
"""
import pickle
import sys
import types

import numpy as np

module = types.ModuleType("training.encoders")
sys.modules["training"], sys.modules["training.encoders"] = types.ModuleType("training"), module


class StabilityVAEEncoder:
    pass


StabilityVAEEncoder.__module__, StabilityVAEEncoder.__qualname__ = "training.encoders", "StabilityVAEEncoder"
module.StabilityVAEEncoder = StabilityVAEEncoder
encoder = StabilityVAEEncoder()
encoder.vae_name = "stabilityai/sd-vae-ft-mse"
encoder.scale = np.float32(0.5) / np.float32([4.17, 4.62, 3.71, 3.28])
encoder.bias = -np.float32([5.81, 3.25, 0.12, -2.15]) * encoder.scale
encoder.batch_size = 8
encoder._vae = None
with open("edm2_encoder.pkl", "wb") as file:
    pickle.dump({"encoder": encoder, "dataset_kwargs": {}}, file, protocol=4)
