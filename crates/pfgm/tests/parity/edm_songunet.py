"""Made edm_ncsnpp.pth and edm_ncsnpp.npz, edm_ddpmpp.pth and edm_ddpmpp.npz: EDM's network in its NCSN++ and DDPM++ forms (arXiv
2206.00364, appendix F), small, with random weights under the published names, and its outputs. Written from the papers, not
from the authors' code.

    python3 edm_songunet.py ncsnpp && python3 edm_songunet.py ddpmpp
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
FORM = sys.argv[1]
NCSNPP = FORM == "ncsnpp"
WIDTH, MULTIPLIERS, SIZE, ATTENTION, CLASSES, CHANNELS = 8, (1, 2), 8, (4,), 3, 3
HALF = math.sqrt(0.5)
weights = {}
taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 if NCSNPP else torch.tensor([0.5, 0.5])
square = torch.outer(taps, taps)[None, None]


def random(name, *shape, near=0.0):
    if name not in weights:
        fan = max(1, math.prod(shape[1:]))
        weights[name] = near + torch.randn(*shape) * (0.3 if near else 1 / math.sqrt(fan))
    return weights[name]


def linear(name, x, outputs, bias=True):
    return F.linear(x, random(f"{name}.weight", outputs, x.shape[1]), random(f"{name}.bias", outputs) if bias else None)


def conv(name, x, outputs, size):
    return F.conv2d(x, random(f"{name}.weight", outputs, x.shape[1], size, size), random(f"{name}.bias", outputs), padding=size // 2)


def norm(name, x):
    channels = x.shape[1]
    groups = min(32, channels // 4)
    return F.group_norm(x, groups, random(f"{name}.weight", channels, near=1.0), random(f"{name}.bias", channels), eps=1e-6)


def blur(x, stride=1, pad=len(taps) // 2 - 1):
    return F.conv2d(x, square.repeat(x.shape[1], 1, 1, 1), stride=stride, padding=pad, groups=x.shape[1])


def resized(x, how):
    if how == "down":
        return blur(x, stride=2)
    if how == "up":
        return F.conv_transpose2d(x, 4 * square.repeat(x.shape[1], 1, 1, 1), stride=2, padding=len(taps) // 2 - 1, groups=x.shape[1])
    return x


def block(name, x, embedding, outputs, how=None, attends=False):
    if how:
        weights[f"{name}.conv0.resample_filter"] = square
        weights[f"{name}.skip.resample_filter"] = square
    h = conv(f"{name}.conv0", resized(F.silu(norm(f"{name}.norm0", x)), how), outputs, 3)
    h = F.silu(norm(f"{name}.norm1", h + linear(f"{name}.affine", embedding, outputs)[:, :, None, None]))
    h = conv(f"{name}.conv1", h, outputs, 3)
    x = conv(f"{name}.skip", resized(x, how), outputs, 1) if how or x.shape[1] != outputs else x
    x = (x + h) * HALF
    if attends:
        batch, channels, height, width = x.shape
        qkv = conv(f"{name}.qkv", norm(f"{name}.norm2", x), 3 * channels, 1)
        q, k, v = qkv.reshape(batch, channels, 3, height * width).unbind(2)
        mixing = torch.softmax(torch.einsum("bcq,bck->bqk", q, k) / math.sqrt(channels), dim=2)
        mixed = torch.einsum("bqk,bck->bcq", mixing, v).reshape(x.shape)
        x = (x + conv(f"{name}.proj", mixed, channels, 1)) * HALF
    return x


def network(x, noise, labels, deformed=None):
    if NCSNPP:
        frequencies = 2 * math.pi * weights.setdefault("map_noise.freqs", 16 * torch.randn(WIDTH))
    else:
        frequencies = 10000 ** -(torch.arange(WIDTH // 2) / (WIDTH // 2 - 1))
    angles = torch.outer(noise, frequencies)
    embedding = torch.cat([angles.sin(), angles.cos()], 1)
    if deformed is not None:
        embedding = embedding + linear("map_augment", deformed, embedding.shape[1], bias=False)
    embedding = embedding + linear("map_label", labels * math.sqrt(CLASSES), embedding.shape[1])
    embedding = F.silu(linear("map_layer1", F.silu(linear("map_layer0", embedding, 4 * WIDTH)), 4 * WIDTH))
    aux, skips = x, []
    for level, multiplier in enumerate(MULTIPLIERS):
        side = SIZE >> level
        name = f"enc.{side}x{side}"
        if level == 0:
            x = conv(f"{name}_conv", x, WIDTH, 3)
        else:
            x = block(f"{name}_down", x, embedding, x.shape[1], "down")
            if not NCSNPP:
                skips.append(x)
                x = block(f"{name}_block0", x, embedding, multiplier * WIDTH, attends=side in ATTENTION)
                skips.append(x)
                continue
            # Convolution with enough zero padding for the following blur.
            rung = f"{name}_aux_residual"
            weights[f"{rung}.resample_filter"] = square
            weight = random(f"{rung}.weight", x.shape[1], aux.shape[1], 3, 3)
            aux = blur(F.conv2d(aux, weight, padding=2), stride=2, pad=0) + random(f"{rung}.bias", x.shape[1])[:, None, None]
            x = aux = (x + aux) * HALF
        skips.append(x)
        x = block(f"{name}_block0", x, embedding, multiplier * WIDTH, attends=side in ATTENTION)
        skips.append(x)
    for level, multiplier in reversed(list(enumerate(MULTIPLIERS))):
        side = SIZE >> level
        name = f"dec.{side}x{side}"
        if level == len(MULTIPLIERS) - 1:
            x = block(f"{name}_in0", x, embedding, x.shape[1], attends=True)
            x = block(f"{name}_in1", x, embedding, x.shape[1])
        else:
            x = block(f"{name}_up", x, embedding, x.shape[1], "up")
        for index in range(2):
            attends = index == 1 and side in ATTENTION
            x = block(f"{name}_block{index}", torch.cat([x, skips.pop()], 1), embedding, multiplier * WIDTH, attends=attends)
    name = f"dec.{SIZE}x{SIZE}"
    return conv(f"{name}_aux_conv", F.silu(norm(f"{name}_aux_norm", x)), CHANNELS, 3)


with torch.no_grad():
    x = torch.randn(2, CHANNELS, SIZE, SIZE) * 2
    sigma, labels = torch.tensor([0.3, 7.0]), torch.eye(CLASSES)[[2, 0]]
    data = 0.5
    total = sigma**2 + data**2
    scaled = x / total.sqrt()[:, None, None, None]
    raw = network(scaled, sigma.log() / 4, labels)
    denoised = (data**2 / total)[:, None, None, None] * x + (sigma * data / total.sqrt())[:, None, None, None] * raw
    deformed = torch.randn(2, 9)
    raw_deformed = network(scaled, sigma.log() / 4, labels, deformed)
    torch.save({"ema": {f"model.{name}": value for name, value in weights.items()}}, f"edm_{FORM}.pth")
    arrays = dict(x=x, sigma=sigma, labels=labels, denoised=denoised, deformed=deformed, raw_deformed=raw_deformed)


def denoise(x, level):
    total = level**2 + data**2
    raw = network(x / math.sqrt(total), torch.full((2,), math.log(level) / 4), labels)
    return data**2 / total * x + level * data / math.sqrt(total) * raw


# Eight Euler steps up the flow, equal in ln sigma, with the divergence of yhat by one probe, as for likelihoods.
levels = np.geomspace(0.1, 10.0, 9)
start, probe = 0.5 * torch.randn(2, CHANNELS, SIZE, SIZE), torch.randint(0, 2, (2, CHANNELS, SIZE, SIZE)) * 2.0 - 1.0
state, integral = start.double(), torch.zeros(2, dtype=torch.float64)
for level, following in zip(levels[:-1], levels[1:]):
    point = state.float().requires_grad_()
    yhat = denoise(point, float(level))
    (pulled,) = torch.autograd.grad((yhat * probe).sum(), point)
    step = following / level - 1
    integral -= step * (pulled * probe).sum((1, 2, 3)).double()
    state = state + step * (state - yhat.detach().double())
np.savez(f"edm_{FORM}.npz", **arrays, start=start, probe=probe, up=state.float(), integral=integral.float())
