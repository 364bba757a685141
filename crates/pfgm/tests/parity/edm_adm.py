"""Made edm_adm.pth and edm_adm.npz: EDM's ADM network (arXiv 2105.05233, 2206.00364), narrow, with random weights of -1, 0 and 1 (one
byte each) under the published names, and its outputs. Written from the papers, not from the authors' code.

    python3 edm_adm.py
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
WIDTH, MULTIPLIERS, SIZE, ATTENTION, CLASSES, CHANNELS, HEAD = 32, (1, 4), 4, (2,), 3, 3, 64
weights = {}


def random(name, *shape):
    if name not in weights:
        weights[name] = torch.randint(-1, 2, shape, dtype=torch.int8)
    return weights[name].float()


def linear(name, x, outputs, bias=True):
    return F.linear(x, random(f"{name}.weight", outputs, x.shape[1]), random(f"{name}.bias", outputs) if bias else None)


def conv(name, x, outputs, size):
    return F.conv2d(x, random(f"{name}.weight", outputs, x.shape[1], size, size), random(f"{name}.bias", outputs), padding=size // 2)


def norm(name, x):
    channels = x.shape[1]
    return F.group_norm(x, min(32, channels // 4), random(f"{name}.weight", channels), random(f"{name}.bias", channels), eps=1e-5)


def resized(x, how):
    if how == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2.0, mode="nearest") if how == "up" else x


def block(name, x, embedding, outputs, how=None, attends=False):
    if how:
        weights[f"{name}.conv0.resample_filter"] = weights[f"{name}.skip.resample_filter"] = torch.full((1, 1, 2, 2), 0.25)
    h = conv(f"{name}.conv0", resized(F.silu(norm(f"{name}.norm0", x)), how), outputs, 3)
    scale, shift = linear(f"{name}.affine", embedding, 2 * outputs)[:, :, None, None].chunk(2, dim=1)
    h = conv(f"{name}.conv1", F.silu(norm(f"{name}.norm1", h) * (scale + 1) + shift), outputs, 3)
    x = conv(f"{name}.skip", resized(x, how), outputs, 1) if x.shape[1] != outputs else resized(x, how)
    x = x + h
    if attends:
        batch, channels, height, width = x.shape
        heads = channels // HEAD
        qkv = conv(f"{name}.qkv", norm(f"{name}.norm2", x), 3 * channels, 1)
        q, k, v = qkv.reshape(batch * heads, channels // heads, 3, height * width).unbind(2)
        mixing = torch.softmax(torch.einsum("bcq,bck->bqk", q, k) / math.sqrt(channels // heads), dim=2)
        mixed = torch.einsum("bqk,bck->bcq", mixing, v).reshape(x.shape)
        x = x + conv(f"{name}.proj", mixed, channels, 1)
    return x


def network(x, noise, labels, deformed=None):
    half = WIDTH // 2
    angles = torch.outer(noise, (1 / 10000) ** (torch.arange(half) / half))
    embedding = torch.cat([angles.cos(), angles.sin()], 1)
    if deformed is not None:
        embedding = embedding + linear("map_augment", deformed, WIDTH, bias=False)
    embedding = linear("map_layer1", F.silu(linear("map_layer0", embedding, 4 * WIDTH)), 4 * WIDTH)
    embedding = F.silu(embedding + linear("map_label", labels, 4 * WIDTH, bias=False))
    skips = []
    for level, multiplier in enumerate(MULTIPLIERS):
        side = SIZE >> level
        name = f"enc.{side}x{side}"
        x = conv(f"{name}_conv", x, WIDTH, 3) if level == 0 else block(f"{name}_down", x, embedding, x.shape[1], "down")
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
            x = block(f"{name}_block{index}", torch.cat([x, skips.pop()], 1), embedding, multiplier * WIDTH, attends=side in ATTENTION)
    return conv("out_conv", F.silu(norm("out_norm", x)), CHANNELS, 3)


with torch.no_grad():
    x = torch.randn(2, CHANNELS, SIZE, SIZE) * 2
    sigma, labels = torch.tensor([0.3, 7.0]), torch.eye(CLASSES)[[2, 0]]
    data = 0.5
    total = sigma**2 + data**2
    raw = network(x / total.sqrt()[:, None, None, None], sigma.log() / 4, labels)
    denoised = (data**2 / total)[:, None, None, None] * x + (sigma * data / total.sqrt())[:, None, None, None] * raw
    deformed = torch.randn(2, 9)
    raw_deformed = network(x / total.sqrt()[:, None, None, None], sigma.log() / 4, labels, deformed)
    torch.save({"ema": {f"model.{name}": value for name, value in weights.items()}}, "edm_adm.pth")
    np.savez("edm_adm.npz", x=x, sigma=sigma, labels=labels, denoised=denoised, deformed=deformed, raw_deformed=raw_deformed)
