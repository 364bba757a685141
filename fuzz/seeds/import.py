"""Made the pickles in `import/`: tiny networks of EDM and EDM2 in the layout of their snapshots, with stand-ins for their classes.

    python3 fuzz/seeds/import.py FOLDER
"""
import io
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np

SOURCE = "# the source text that released files carry is left out\n"
rng = np.random.default_rng(0)


def stand_in(module: str, name: str):
    """A function that only its name is pickled of."""
    part = ""
    for piece in module.split("."):
        part = f"{part}.{piece}" if part else piece
        sys.modules.setdefault(part, types.ModuleType(part))
    function = types.FunctionType((lambda *_: None).__code__, {}, name)
    function.__module__, function.__qualname__ = module, name
    setattr(sys.modules[module], name, function)
    return function


rebuild_parameter = stand_in("torch._utils", "_rebuild_parameter")
rebuild_tensor = stand_in("torch._utils", "_rebuild_tensor_v2")
load_from_bytes = stand_in("torch.storage", "_load_from_bytes")
reconstruct = stand_in("torch_utils.persistence", "_reconstruct_persistent_obj")
sys.modules["torch"].FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.parts = (function, arguments)

    def __reduce__(self):
        return self.parts


class StoragePickler(pickle.Pickler):
    """Writes a storage as `torch.save` did before it wrote zip archives."""

    def persistent_id(self, obj):
        return obj.reference if isinstance(obj, Storage) else None


class Storage:
    def __init__(self, values):
        self.values = values
        self.reference = ("storage", sys.modules["torch"].FloatStorage, "94000000", "cpu", values.size, None)

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        pickle.dump(0x1950A86A20F9469CFC6C, out, protocol=2)
        pickle.dump(1001, out, protocol=2)
        sizes = {"short": 2, "int": 4, "long": 4}
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}, out, protocol=2)
        StoragePickler(out, protocol=2).dump(self)
        pickle.dump(["94000000"], out, protocol=2)
        return out.getvalue() + np.int64(self.values.size).tobytes() + self.values.tobytes()


def tensor(*shape, value=None):
    values = np.asarray(rng.standard_normal(shape) if value is None else value, np.float32)
    strides = tuple(int(np.prod(shape[at + 1 :])) for at in range(len(shape)))
    storage = Call(load_from_bytes, Storage(values.reshape(-1)).to_bytes())
    return Call(rebuild_tensor, storage, 0, shape, strides, False, OrderedDict())


def parameter(*shape, value=None):
    return Call(rebuild_parameter, tensor(*shape, value=value), False, OrderedDict())


def module(name, modules=(), parameters=(), buffers=(), **attributes):
    state = {"training": False, "_parameters": dict(parameters), "_buffers": dict(buffers), "_modules": dict(modules)}
    state |= attributes
    about = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": name, "state": state}
    return Call(reconstruct, about)


def weight(*shape):
    return module("MPConv", parameters={"weight": parameter(*shape)}, out_channels=shape[0])


def edm2():
    """Two levels of four and eight channels, images of 4x4x1, two classes."""
    emb, heads = 8, dict(num_heads=1, attn_balance=0.3, res_balance=0.3, clip_act=256, resample_filter=[1, 1])

    def block(inputs, outputs, decoder=False, attention=False):
        parts = {"conv_res0": weight(outputs, inputs if decoder else outputs, 3, 3)}
        parts |= {"emb_linear": weight(outputs, emb), "conv_res1": weight(outputs, outputs, 3, 3)}
        if inputs != outputs:
            parts["conv_skip"] = weight(outputs, inputs, 1, 1)
        if attention:
            parts |= {"attn_qkv": weight(3 * outputs, outputs, 1, 1), "attn_proj": weight(outputs, outputs, 1, 1)}
        gain = {"emb_gain": parameter(value=0.5)}
        return module("Block", parts, gain, out_channels=outputs, **heads)

    encoder = {"4x4_conv": weight(4, 2, 3, 3), "4x4_block0": block(4, 4), "2x2_down": block(4, 4), "2x2_block0": block(4, 8)}
    decoder = {"2x2_in0": block(8, 8, True, True), "2x2_in1": block(8, 8, True)}
    decoder |= {"2x2_block0": block(16, 8, True), "2x2_block1": block(12, 8, True), "4x4_up": block(8, 8, True)}
    decoder |= {"4x4_block0": block(12, 4, True), "4x4_block1": block(8, 4, True)}
    fourier = lambda count: module("MPFourier", buffers={"freqs": tensor(count), "phases": tensor(count)})
    parts = {"emb_fourier": fourier(4), "emb_noise": weight(emb, 4), "emb_label": weight(emb, 2)}
    parts |= {"enc": module("ModuleDict", encoder), "dec": module("ModuleDict", decoder), "out_conv": weight(1, 4, 3, 3)}
    gain = {"out_gain": parameter(value=0.7)}
    unet = module("UNet", parts, gain, label_balance=0.5, concat_balance=0.5)
    parts = {"unet": unet, "logvar_fourier": fourier(4), "logvar_linear": weight(1, 4)}
    about = dict(img_resolution=4, img_channels=1, label_dim=2, sigma_data=0.5, use_fp16=False)
    return module("Precond", parts, **about)


def ddpmpp(outputs):
    """EDM's DDPM++ of one level with four channels, images of 4x4x1."""
    width, emb = 4, 16

    def layer(name, *shape):
        return module(name, parameters={"weight": parameter(*shape), "bias": parameter(shape[0])})

    def norm(channels):
        return module("GroupNorm", parameters={"weight": parameter(channels), "bias": parameter(channels)}, eps=1e-6)

    def block(inputs, attention=False):
        parts = {"norm0": norm(inputs), "conv0": layer("Conv2d", width, inputs, 3, 3)}
        parts |= {"affine": layer("Linear", width, emb), "norm1": norm(width)}
        parts["conv1"] = layer("Conv2d", width, width, 3, 3)
        if inputs != width:
            parts["skip"] = layer("Conv2d", width, inputs, 1, 1)
        if attention:
            parts |= {"norm2": norm(width), "qkv": layer("Conv2d", 3 * width, width, 1, 1)}
            parts["proj"] = layer("Conv2d", width, width, 1, 1)
        return module("UNetBlock", parts, num_heads=int(attention), skip_scale=0.5**0.5)

    encoder = {"4x4_conv": layer("Conv2d", width, 1, 3, 3), "4x4_block0": block(width)}
    decoder = {"4x4_in0": block(width, True), "4x4_in1": block(width), "4x4_block0": block(2 * width)}
    decoder |= {"4x4_block1": block(2 * width), "4x4_aux_norm": norm(width)}
    decoder["4x4_aux_conv"] = layer("Conv2d", outputs, width, 3, 3)
    parts = {"map_noise": module("PositionalEmbedding"), "map_layer0": layer("Linear", emb, width)}
    parts |= {"map_layer1": layer("Linear", emb, emb), "enc": module("ModuleDict", encoder)}
    return module("SongUNet", parts | {"dec": module("ModuleDict", decoder)})


def edm(name, outputs=1, buffers=(), **attributes):
    about = dict(img_resolution=4, img_channels=1, label_dim=0, use_fp16=False)
    return module(name, {"model": ddpmpp(outputs)}, buffers=buffers, **about, **attributes)


def alpha_bar(j):
    return np.sin(0.5 * np.pi * j / 20 / 1.008) ** 2


def iddpm():
    levels = np.zeros(21)
    for j in range(20, 0, -1):
        levels[j - 1] = np.sqrt((levels[j] ** 2 + 1) / max(alpha_bar(j - 1) / alpha_bar(j), 1e-3) - 1)
    about = dict(C_1=0.001, C_2=0.008, M=20, sigma_min=float(levels[19]), sigma_max=float(levels[0]))
    return edm("iDDPMPrecond", 2, {"u": tensor(21, value=levels)}, **about)


MODELS = {
    "edm": lambda: edm("EDMPrecond", sigma_min=0, sigma_max=float("inf"), sigma_data=0.5),
    "edm-vp": lambda: edm(
        "VPPrecond", beta_d=19.9, beta_min=0.1, M=1000, epsilon_t=1e-5, sigma_min=0.0017, sigma_max=152.2
    ),
    "edm-ve": lambda: edm("VEPrecond", sigma_min=0.02, sigma_max=100),
    "edm-iddpm": iddpm,
    "edm2": edm2,
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in MODELS.items():
        snapshot = {"dataset_kwargs": {"class_name": "training.dataset.ImageFolderDataset"}, "ema": value()}
        (folder / name).write_bytes(pickle.dumps(snapshot, protocol=4))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
