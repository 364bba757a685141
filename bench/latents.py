#!/usr/bin/env python3
"""Memory and time of 512x512 images of latents: an autoencoder of the published size (KL-f8: 128, 256, 512, 512 channels) and a small EDM2 network
of 64x64x4 latents, both with random weights.

    cargo build --release && python3 bench/latents.py --out /tmp/latents

Needs numpy and GNU time (/usr/bin/time). Prints the program's own estimate and the measured peak, for whole images and for tiles.
"""
import argparse
import json
import math
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pfgm", default=str(Path(__file__).resolve().parent.parent / "target/release/pfgm"))
parser.add_argument("--out", type=Path, required=True, help="folder for the fabricated files")
parser.add_argument("--tiles", default="0,384,256,128", help="sides of tiles to measure; 0 is the whole image")
parser.add_argument("--only-files", action="store_true", help="write the files and measure nothing")
args = parser.parse_args()
rng = np.random.default_rng(0)


def save(path, tensors):
    """Writes a safetensors file."""
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + 4 * values.size]}
        at += 4 * values.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(values.astype("<f4").tobytes())


def autoencoder(folder, channels=(128, 256, 512, 512), blocks=2, latent=4):
    tensors = {}

    def layer(name, *shape):
        fan = math.prod(shape[1:])
        tensors[f"{name}.weight"] = rng.standard_normal(shape, dtype=np.float32) / math.sqrt(fan)
        tensors[f"{name}.bias"] = np.zeros(shape[0], dtype=np.float32)

    def norm(name, size):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = np.ones(size, np.float32), np.zeros(size, np.float32)

    def block(name, inputs, outputs):
        norm(f"{name}.norm1", inputs)
        layer(f"{name}.conv1", outputs, inputs, 3, 3)
        norm(f"{name}.norm2", outputs)
        layer(f"{name}.conv2", outputs, outputs, 3, 3)
        if inputs != outputs:
            layer(f"{name}.conv_shortcut", outputs, inputs, 1, 1)

    def middle(half, size):
        for index in (0, 1):
            block(f"{half}.mid_block.resnets.{index}", size, size)
        norm(f"{half}.mid_block.attentions.0.group_norm", size)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            layer(f"{half}.mid_block.attentions.0.{part}", size, size)

    for half, side, sizes, count, resample in (
        ("encoder", "down_blocks", channels, blocks, "downsamplers"),
        ("decoder", "up_blocks", channels[::-1], blocks + 1, "upsamplers"),
    ):
        layer(f"{half}.conv_in", sizes[0], 3 if half == "encoder" else latent, 3, 3)
        current = sizes[0]
        for level, size in enumerate(sizes):
            for index in range(count):
                block(f"{half}.{side}.{level}.resnets.{index}", current, size)
                current = size
            if level + 1 < len(sizes):
                layer(f"{half}.{side}.{level}.{resample}.0.conv", size, size, 3, 3)
        middle(half, channels[-1])
        norm(f"{half}.conv_norm_out", current)
        layer(f"{half}.conv_out", 2 * latent if half == "encoder" else 3, current, 3, 3)
    layer("quant_conv", 2 * latent, 2 * latent, 1, 1)
    layer("post_quant_conv", latent, latent, 1, 1)
    save(folder / "diffusion_pytorch_model.safetensors", tensors)
    config = {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": list(channels),
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": latent,
        "layers_per_block": blocks,
        "norm_num_groups": 32,
        "sample_size": 512,
        "scaling_factor": 0.18215,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return sum(values.size for values in tensors.values())


def edm2(path, width=64, multipliers=(1, 2, 3, 4), blocks=1, side=64, channels=4):
    tensors = {}
    sizes = [width * multiplier for multiplier in multipliers]
    embedding = max(sizes)

    def weight(name, *shape):
        tensors[f"{name}.weight"] = rng.standard_normal(shape, dtype=np.float32)

    def fourier(name, count):
        tensors[f"{name}.freqs"] = 2 * np.pi * rng.standard_normal(count, dtype=np.float32)
        tensors[f"{name}.phases"] = 2 * np.pi * rng.random(count, dtype=np.float32)

    def block(name, inputs, outputs, encoder, attention):
        tensors[f"{name}.emb_gain"] = np.float32(0.1).reshape(())
        weight(f"{name}.conv_res0", outputs, outputs if encoder else inputs, 3, 3)
        weight(f"{name}.emb_linear", outputs, embedding)
        weight(f"{name}.conv_res1", outputs, outputs, 3, 3)
        if inputs != outputs:
            weight(f"{name}.conv_skip", outputs, inputs, 1, 1)
        if attention:
            weight(f"{name}.attn_qkv", 3 * outputs, outputs, 1, 1)
            weight(f"{name}.attn_proj", outputs, outputs, 1, 1)

    fourier("unet.emb_fourier", sizes[0])
    weight("unet.emb_noise", embedding, sizes[0])
    current, stored = channels + 1, []
    for level, size in enumerate(sizes):
        at = side >> level
        if level == 0:
            weight(f"unet.enc.{at}x{at}_conv", size, current, 3, 3)
            current = size
        else:
            block(f"unet.enc.{at}x{at}_down", current, current, True, False)
        stored.append(current)
        for index in range(blocks):
            block(f"unet.enc.{at}x{at}_block{index}", current, size, True, at in (16, 8))
            current = size
            stored.append(current)
    for level, size in reversed(list(enumerate(sizes))):
        at = side >> level
        if level == len(sizes) - 1:
            block(f"unet.dec.{at}x{at}_in0", current, current, False, True)
            block(f"unet.dec.{at}x{at}_in1", current, current, False, False)
        else:
            block(f"unet.dec.{at}x{at}_up", current, current, False, False)
        for index in range(blocks + 1):
            block(f"unet.dec.{at}x{at}_block{index}", current + stored.pop(), size, False, at in (16, 8))
            current = size
    weight("unet.out_conv", channels, current, 3, 3)
    tensors["unet.out_gain"] = np.float32(0.5).reshape(())
    fourier("logvar_fourier", 128)
    weight("logvar_linear", 1, 128)
    save(path, tensors)


def measured(*arguments):
    """Runs the program; returns what it prints, its peak of memory in GB, and its seconds."""
    run = subprocess.run(["/usr/bin/time", "-v", args.pfgm, *arguments], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    peak = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", run.stderr)[1]) * 1024 / 1e9
    minutes, seconds = re.search(r"Elapsed .*: (?:\d+:)?(\d+):([\d.]+)", run.stderr).groups()
    return run.stdout, peak, 60 * int(minutes) + float(seconds)


vae, network, run = args.out / "vae", args.out / "edm2-small.safetensors", args.out / "run"
if not (vae / "config.json").exists():
    print(f"{autoencoder(vae) / 1e6:.1f} million weights in {vae}")
    edm2(network)
if args.only_files:
    sys.exit()
subprocess.run([args.pfgm, "import", network, "--method", "edm", "--autoencoder", vae, "-o", run], check=True)
images = {}
for tile in map(int, args.tiles.split(",")):
    file = args.out / f"tile-{tile}.npz"
    out, peak, seconds = measured("sample", str(run), "-n", "1", "--steps", "4", "--tile", str(tile), "--npz", str(file))
    said = next(line for line in out.splitlines() if line.startswith("autoencoder"))
    images[tile] = np.load(file)["x"].astype(np.float64)
    whole = images.get(0)
    apart = "" if whole is None else f", differs from the whole by {np.sqrt(np.mean((images[tile] - whole) ** 2)) / whole.std():.3f} standard deviations"
    print(f"{said}\n    measured: peak {peak:.2f} GB, {seconds:.0f} s{apart}", flush=True)
