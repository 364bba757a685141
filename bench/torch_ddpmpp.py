"""The DDPM++ U-Net of `crates/nn/src/unet/ddpmpp.rs` in plain PyTorch, for comparisons of speed.

Sizes are those of presets/fashion-mnist.toml. Weights have PyTorch's initialization; only the arithmetic is the same.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

HALF = 1 / math.sqrt(2)


def norm(channels):
    most = max(1, min(channels // 4, 32))
    return nn.GroupNorm(next(g for g in range(most, 0, -1) if channels % g == 0), channels, eps=1e-6)


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, 3, channels, height * width).unbind(1)
        weights = torch.softmax(torch.bmm(q.transpose(1, 2), k) * channels**-0.5, dim=-1)
        mixed = torch.bmm(v, weights.transpose(1, 2)).reshape(batch, channels, height, width)
        return (x + self.project(mixed)) * HALF


class Block(nn.Module):
    def __init__(self, inputs, outputs, embedding, resample, attends, dropout):
        super().__init__()
        self.norm0, self.conv0 = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.embedding = nn.Linear(embedding, outputs)
        self.norm1, self.conv1 = norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or resample != "keep" else None
        self.attention = Attention(outputs) if attends else None
        self.resample, self.dropout = resample, dropout

    def sized(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x

    def forward(self, x, embedding):
        h = self.conv0(self.sized(F.silu(self.norm0(x))))
        h = h + self.embedding(embedding)[:, :, None, None]
        h = F.dropout(F.silu(self.norm1(h)), self.dropout, self.training)
        x = self.sized(x)
        x = x if self.skip is None else self.skip(x)
        x = (x + self.conv1(h)) * HALF
        return x if self.attention is None else self.attention(x)


class Net(nn.Module):
    def __init__(self, size=28, channels=1, width=32, multipliers=(1, 2, 2), blocks=1, attention=(7,), dropout=0.05, classes=10):
        super().__init__()
        wide = 4 * width
        self.width, self.classes = width, classes
        self.far, self.label = nn.Linear(1, width, bias=False), nn.Linear(classes, width, bias=False)
        self.first, self.second = nn.Linear(width, wide), nn.Linear(wide, wide)
        self.input = nn.Conv2d(channels, width, 3, padding=1)
        down, remembered, current = [], [width], width
        for level, multiplier in enumerate(multipliers):
            if level > 0:
                down.append(Block(current, current, wide, "down", False, dropout))
                remembered.append(current)
            attends = (size >> level) in attention
            for _ in range(blocks):
                down.append(Block(current, multiplier * width, wide, "keep", attends, dropout))
                current = multiplier * width
                remembered.append(current)
        middle = [Block(current, current, wide, "keep", attends, dropout) for attends in (True, False)]
        up, self.joins = [], []
        for level, multiplier in reversed(list(enumerate(multipliers))):
            if level + 1 < len(multipliers):
                up.append(Block(current, current, wide, "up", False, dropout))
                self.joins.append(False)
            for index in range(blocks + 1):
                attends = index == blocks and (size >> level) in attention
                up.append(Block(current + remembered.pop(), multiplier * width, wide, "keep", attends, dropout))
                current = multiplier * width
                self.joins.append(True)
        self.down, self.middle, self.up = nn.ModuleList(down), nn.ModuleList(middle), nn.ModuleList(up)
        self.norm, self.output = norm(current), nn.Conv2d(current, channels, 3, padding=1)
        half = width // 2
        self.register_buffer("frequencies", 10000.0 ** -(torch.arange(half) / (half - 1)))

    def forward(self, x, noise, far, label):
        angles = noise * self.frequencies
        embedding = torch.cat([angles.cos(), angles.sin()], 1) + self.far(far)
        embedding = embedding + self.label(label * math.sqrt(self.classes))
        embedding = F.silu(self.second(F.silu(self.first(embedding))))
        x = self.input(x)
        remembered = [x]
        for block in self.down:
            x = block(x, embedding)
            remembered.append(x)
        for block in self.middle:
            x = block(x, embedding)
        for block, join in zip(self.up, self.joins):
            if join:
                x = torch.cat([x, remembered.pop()], 1)
            x = block(x, embedding)
        return self.output(F.silu(self.norm(x)))
