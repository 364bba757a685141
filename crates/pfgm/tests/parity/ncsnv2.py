"""Made ncsnv2.pth and ncsnv2.npz: NCSNv2 (arXiv 2006.09011) for small images, narrow, with random weights under the published names,
and its outputs. Written from the papers, not from the authors' code.

    python3 ncsnv2.py
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
WIDTH, SIZE, CHANNELS = 8, (10, 6), 3
weights = {}


def random(name, *shape, near=0.0):
    if name not in weights:
        fan = max(1, math.prod(shape[1:]))
        weights[name] = near + torch.randn(*shape) * (0.3 if near else 1 / math.sqrt(fan))
    return weights[name]


def conv(name, x, outputs, size=3, dilation=1, bias=True):
    weight = random(f"{name}.weight", outputs, x.shape[1], size, size)
    bias = random(f"{name}.bias", outputs) if bias else None
    return F.conv2d(x, weight, bias, padding=size // 2 * dilation, dilation=dilation)


def norm(name, x):
    channels = x.shape[1]
    means = x.mean((2, 3))
    apart = (means - means.mean(1, keepdim=True)) / (means.var(1, keepdim=True) + 1e-5).sqrt()
    alpha, gamma = random(f"{name}.alpha", channels, near=1.0), random(f"{name}.gamma", channels, near=1.0)
    h = F.instance_norm(x) + (apart * alpha)[:, :, None, None]
    return gamma[:, None, None] * h + random(f"{name}.beta", channels)[:, None, None]


def pooled(x):
    return F.avg_pool2d(x, 2)


def residual(name, x, outputs, down, dilation):
    shrinks = down and dilation == 1
    middle = x.shape[1] if down else outputs
    h = conv(f"{name}.conv1", F.elu(norm(f"{name}.normalize1", x)), middle, dilation=dilation)
    h = F.elu(norm(f"{name}.normalize2", h))
    if shrinks:
        return pooled(conv(f"{name}.shortcut.conv", x, outputs, size=1)) + pooled(conv(f"{name}.conv2.conv", h, outputs))
    return (conv(f"{name}.shortcut", x, outputs, dilation=dilation) if down else x) + conv(f"{name}.conv2", h, outputs, dilation=dilation)


def chain(name, x, blocks):
    for block in range(1, blocks + 1):
        h = conv(f"{name}.{block}_1_conv", F.elu(x), x.shape[1], bias=False)
        x = conv(f"{name}.{block}_2_conv", F.elu(h), x.shape[1], bias=False) + x
    return x


def refine(name, images, outputs, end=False):
    adapted = [chain(f"{name}.adapt_convs.{i}", image, 2) for i, image in enumerate(images)]
    x = adapted[0]
    if len(images) > 1:
        shape = images[0].shape[2:]
        brought = [conv(f"{name}.msf.convs.{i}", image, outputs) for i, image in enumerate(adapted)]
        x = sum(F.interpolate(image, size=shape, mode="bilinear", align_corners=True) for image in brought)
    x = path = F.elu(x)
    for i in range(2):
        path = conv(f"{name}.crp.convs.{i}", F.max_pool2d(path, 5, stride=1, padding=2), outputs, bias=False)
        x = x + path
    return chain(f"{name}.output_convs", x, 3 if end else 1)


def network(x):
    x, levels = conv("begin_conv", x, WIDTH), []
    for level, (multiplier, down, dilation) in enumerate([(1, False, 1), (2, True, 1), (2, True, 2), (2, True, 4)], 1):
        x = residual(f"res{level}.0", x, multiplier * WIDTH, down, dilation)
        x = residual(f"res{level}.1", x, multiplier * WIDTH, False, dilation)
        levels.append(x)
    x = refine("refine1", [levels[3]], 2 * WIDTH)
    x = refine("refine2", [levels[2], x], 2 * WIDTH)
    x = refine("refine3", [levels[1], x], WIDTH)
    x = refine("refine4", [levels[0], x], WIDTH, end=True)
    return conv("end_conv", F.elu(norm("normalizer", x)), CHANNELS)


with torch.no_grad():
    x = torch.randn(3, CHANNELS, *SIZE) * 2
    sigma = torch.tensor([0.02, 1.5, 90.0])
    # Images in [0, 1], so levels are half of those for [-1, 1].
    score = network(x) / sigma[:, None, None, None]
    sigmas = torch.logspace(math.log10(50), -2, 232)
    first = {f"module.{name}": torch.zeros_like(value) for name, value in weights.items()} | {"module.sigmas": sigmas}
    torch.save([first, {"state": {}, "param_groups": []}, 3, 1000, dict(weights)], "ncsnv2.pth")
    np.savez("ncsnv2.npz", x=x, sigma=sigma, score=score)
