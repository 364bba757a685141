"""diffusers' UNet2DModel with the sizes of google/ddpm-cifar10-32, in PyTorch, for bench/compare.py.

Written from its config.json and the description of its blocks: the same layers, sizes and number of weights (35 746 307), with PyTorch's own attention.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = (128, 256, 256, 256)
BLOCKS = 2
ATTENTION = 1  # the level whose blocks attend
EMBEDDING = 512


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.embedding = nn.Linear(EMBEDDING, outputs)
        self.norm2, self.conv2 = norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedding):
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.embedding(F.silu(embedding))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class Attention(nn.Module):
    """One head over all pixels."""

    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels)
        self.query, self.key, self.value, self.project = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x):
        batch, channels, height, width = x.shape
        y = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (layer(y)[:, None] for layer in (self.query, self.key, self.value))
        y = self.project(F.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + y.transpose(1, 2).reshape(batch, channels, height, width)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = CHANNELS[0]
        self.time = nn.Sequential(nn.Linear(width, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING))
        self.input = nn.Conv2d(3, width, 3, padding=1)
        stored, channels, down = [width], width, []
        for level, width in enumerate(CHANNELS):
            for _ in range(BLOCKS):
                down.append(nn.ModuleList([Block(channels, width), Attention(width) if level == ATTENTION else nn.Identity()]))
                channels = width
                stored.append(channels)
            if level + 1 < len(CHANNELS):
                down.append(Down(channels))
                stored.append(channels)
        self.down = nn.ModuleList(down)
        self.middle = nn.ModuleList([Block(channels, channels), Attention(channels), Block(channels, channels)])
        up = []
        for level, width in reversed(list(enumerate(CHANNELS))):
            for _ in range(BLOCKS + 1):
                block = Block(channels + stored.pop(), width)
                up.append(nn.ModuleList([block, Attention(width) if level == ATTENTION else nn.Identity()]))
                channels = width
            if level > 0:
                up.append(Up(channels))
        self.up = nn.ModuleList(up)
        self.norm, self.output = norm(channels), nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x, timestep):
        half = CHANNELS[0] // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half) / (half - 1))
        angles = timestep[:, None] * frequencies
        embedding = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        x = self.input(x)
        stored = [x]
        for layer in self.down:
            if isinstance(layer, Down):
                x = layer(x)
            else:
                x = layer[1](layer[0](x, embedding))
            stored.append(x)
        x = self.middle[2](self.middle[1](self.middle[0](x, embedding)), embedding)
        for layer in self.up:
            if isinstance(layer, Up):
                x = layer(x)
            else:
                x = layer[1](layer[0](torch.cat([x, stored.pop()], 1), embedding))
        return self.output(F.silu(self.norm(x)))


if __name__ == "__main__":
    print(sum(p.numel() for p in Net().parameters()))
