"""Numbers for crates/eval/tests/extractor.rs: the networks of pytorch-fid and of efficientnet-lite-pytorch with weights
that a hash makes, on images that a hash makes.

Run with `pip install torch torchvision pytorch-fid efficientnet-lite-pytorch`, then `python3 goldens/features.py`.
"""

import warnings

import numpy as np
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from pytorch_fid import inception

warnings.filterwarnings("ignore")


def hash32(x):
    x = np.asarray(x, dtype=np.uint64) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def uniform(name, count):
    """Numbers in [0, 1), named like a weight (FNV-1a)."""
    start = 0x811C9DC5
    for byte in name.encode():
        start = ((start ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hash32(start + np.arange(count, dtype=np.uint64)).astype(np.float64) / 2**32


def weight(name, shape):
    u = uniform(name, int(np.prod(shape)))
    kind = name.rsplit(".", 1)[-1]
    if kind == "running_var":
        return 0.5 + u
    if kind == "running_mean" or kind == "bias":
        return 0.4 * (u - 0.5)
    if len(shape) == 1:
        return 0.75 + 0.5 * u
    # What activations keep of the variance, He et al. give back.
    return (u - 0.5) * np.sqrt(24.0 / np.prod(shape[1:]))


def fill(network):
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            values = weight(name, tuple(tensor.shape)).astype(np.float32).reshape(tuple(tensor.shape))
            state[name] = torch.from_numpy(values)
    network.load_state_dict(state)
    return network.eval()


def fid_inception():
    """torchvision's Inception-v3 with the blocks that pytorch-fid exchanges, as its `fid_inception_v3` builds it."""
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    network.Mixed_5b = inception.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = inception.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = inception.FIDInceptionA(288, pool_features=64)
    for name, width in zip("bcde", (128, 160, 160, 192)):
        setattr(network, f"Mixed_6{name}", inception.FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b = inception.FIDInceptionE_1(1280)
    network.Mixed_7c = inception.FIDInceptionE_2(2048)
    return fill(network)


def numbers(name, values):
    """Every so many values of the features and logits, in lines of eight."""
    print(f"// {name}")
    for at in range(0, len(values), 8):
        print(", ".join(repr(float(f"{value:.5e}")) for value in values[at : at + 8]) + ",")


def main():
    torch.set_num_threads(2)
    images = uniform("images", 2 * 40 * 48 * 3).astype(np.float32).reshape(2, 40, 48, 3)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)

    with torch.no_grad():
        network = fid_inception()
        # pytorch-fid takes the blocks out of the network that its own function builds: here, the one above.
        inception.fid_inception_v3 = lambda: network
        features = inception.InceptionV3([3])(images)[0][:, :, 0, 0]
        numbers("inception, features", features[:, ::171].flatten().tolist())
        logits = features @ network.fc.weight.T
        numbers("inception, logits", logits[:, ::84].flatten().tolist())

        network = fill(EfficientNet.from_name("efficientnet-lite0"))
        x = torch.nn.functional.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False)
        x = (255 * x - 127) / 128
        features = network.extract_features(x).mean((2, 3))
        numbers("efficientnet-lite0, features", features[:, ::107].flatten().tolist())
        numbers("efficientnet-lite0, logits", network(x)[:, ::84].flatten().tolist())


if __name__ == "__main__":
    main()
