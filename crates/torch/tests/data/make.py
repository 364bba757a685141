"""Makes the checkpoints in this folder: python3 make.py (PyTorch 2.15, NumPy 2.4).

The keys of storages in the old format are addresses, so only they differ from run to run.
"""

import argparse
import collections
import os
import pickle
import sys
import types

import numpy as np
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def count(*shape, dtype=torch.float32, start=0):
    """start, start + 1, ... in the given shape."""
    size = int(np.prod(shape))
    return torch.arange(start, start + size).to(dtype).reshape(shape)


# Every element type, and every kind of view of a storage.
grid = count(3, 4)
tensors = collections.OrderedDict(
    f64=count(3, dtype=torch.float64) / 8,
    f32=count(2, 3),
    f16=count(3, dtype=torch.float16) / 4,
    bf16=count(3, dtype=torch.bfloat16) / 2,
    i64=torch.tensor([-(2**40), 0, 2**40]),
    i32=torch.tensor([-70000, 70000], dtype=torch.int32),
    i16=torch.tensor([-300, 300], dtype=torch.int16),
    i8=torch.tensor([-128, 127], dtype=torch.int8),
    u8=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    complex=torch.tensor([1 + 2j]),
    number=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(count(2, 2)),
    grid=grid,
    transposed=grid.T,
    column=grid[:, 1],
    corner=grid[1:, 2:],
    every_other=grid[::2, ::3],
    permuted=count(2, 3, 4).permute(2, 0, 1),
    expanded=torch.tensor([[1.0], [2.0]]).expand(2, 3),
    windows=count(5).as_strided((3, 3), (1, 1)),
)
torch.save(tensors, "tensors.pt")
torch.save(tensors, "tensors_legacy.pt", _use_new_zipfile_serialization=False)
tensors["u16"] = torch.tensor([0, 65535], dtype=torch.uint16)
tensors["u64"] = torch.tensor([2**64 - 1], dtype=torch.uint64)
torch.save({name: tensors[name] for name in ("u16", "u64", "f32")}, "unsigned.pt")

# The training state of PFGM and score_sde.
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
with torch.no_grad():
    for number, parameter in enumerate(model.parameters()):
        parameter.copy_(count(*parameter.shape, start=10 * number))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
model(count(4, 2)).sum().backward()
state = {
    "optimizer": optimizer.state_dict(),
    "model": collections.OrderedDict(("module." + name, value) for name, value in model.state_dict().items()),
    "ema": {
        "decay": 0.9999,
        "num_updates": 3,
        "shadow_params": [parameter.detach() / 2 for parameter in model.parameters()],
    },
    "step": 3,
}
torch.save(state, "pfgm.pth")
torch.save(state, "pfgm_legacy.pth", _use_new_zipfile_serialization=False)

# Networks pickled by EDM and PFGM++, with the source of their classes, which must not be executed.
source = "raise SystemExit('the source of a class was run')\n"
persistence = types.ModuleType("torch_utils.persistence")


def _reconstruct_persistent_obj(meta):
    raise NotImplementedError


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
_reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
sys.modules["torch_utils"] = types.ModuleType("torch_utils")
sys.modules["torch_utils.persistence"] = persistence


class Persistent(torch.nn.Module):
    def __reduce__(self):
        meta = dict(
            type="class", version=6, module_src=source, class_name=type(self).__name__, state=dict(self.__dict__)
        )
        return _reconstruct_persistent_obj, (meta,)


class Layer(Persistent):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(count(2, 3))
        self.bias = None
        self.register_buffer("filter", count(2, start=5))
        self.register_buffer("scratch", count(2), persistent=False)


class EDMPrecond(Persistent):
    def __init__(self):
        super().__init__()
        self.img_resolution = 32
        self.sigma_data = 0.5
        self.model = torch.nn.ModuleDict({"enc": Layer(), "dec": torch.nn.Linear(2, 1)})
        with torch.no_grad():
            self.model["dec"].weight.copy_(count(1, 2, start=7))
            self.model["dec"].bias.fill_(0.5)


snapshot = dict(ema=EDMPrecond().eval(), augment_pipe=None, dataset_kwargs=dict(path="cifar10.zip", max_size=None))
for protocol in (2, 4):
    with open(f"snapshot_{protocol}.pkl", "wb") as file:
        pickle.dump(snapshot, file, protocol=protocol)
torch.save(dict(net=snapshot["ema"], step=777), "training-state-000777.pt")


# Objects with cyclic references.
class Module:
    pass


sys.modules["networks"] = types.ModuleType("networks")
sys.modules["networks"].Module = Module
Module.__module__ = "networks"
parent, child = Module(), Module()
parent._parameters, child._parameters = {"weight": count(2)}, {"weight": count(3)}
parent._modules, child._modules = {"child": child}, {"parent": parent}
parent.itself = [parent]
parent.itself.append(parent.itself)
torch.save(parent, "cyclic.pt")

# Other contents of checkpoints. Protocol 0 is text, protocol 5 has NumPy's newest format.
options = {
    "big": 2**100,
    "negative": -(2**70),
    "small": -7,
    "float": 1.5,
    "text": "schr\u00f6dinger \U0001f642 \\u",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"ab"),
    "set": {1},
    "frozenset": frozenset([2]),
    "tuple": (1, (2, 3)),
    "yes": True,
    "none": None,
    "complex": 1 + 2j,
    "defaultdict": collections.defaultdict(list, a=[1]),
    "ordered": collections.OrderedDict(b=1, a=2),
    "namespace": argparse.Namespace(lr=0.5, name="adam"),
    "size": torch.Size([2, 3]),
    "device": torch.device("cuda", 1),
    "dtype": torch.float16,
    "f32": np.float32(0.25),
    "f64": np.float64(0.125),
    "i64": np.int64(-5),
    "u64": np.uint64(2**64 - 1),
    "bool": np.bool_(True),
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "strings": np.array(["a", "bc"]),
    "shared": [parent.itself] * 2,
}
for protocol in (0, 1, 2, 3, 5):
    with open(f"options_{protocol}.pkl", "wb") as file:
        pickle.dump(options, file, protocol=protocol)
