"""Made the small files in this folder from checkpoints in the published layouts with random weights.

    python3 strip.py FOLDER    (holds pfgm_ddpmpp/, pfgm_ncsnpp/, ve_ncsnpp/, vp_ddpmpp/ and pfgmpp_ddpmpp_cond/)

The results of the authors' code (case.npz) are unchanged. pfgm_ncsnpp and the PFGM++ file are complete; the others
contain only the averaged weights, under the names of the model, which halves their size.
"""
import shutil
import sys
from pathlib import Path

import torch

source = Path(sys.argv[1])
for name in ("pfgm_ddpmpp", "ve_ncsnpp", "vp_ddpmpp"):
    checkpoint = torch.load(source / name / "checkpoint.pth", map_location="cpu", weights_only=False)
    averages = iter(checkpoint["ema"]["shadow_params"])
    fixed = ("module.sigmas", "module.all_modules.0.W")
    model = {key: value if key in fixed else next(averages) for key, value in checkpoint["model"].items()}
    torch.save({"model": model, "step": checkpoint["step"]}, f"{name}.pth")
    shutil.copy(source / name / "case.npz", f"{name}.npz")
shutil.copy(source / "pfgm_ncsnpp/checkpoint.pth", "pfgm_ncsnpp.pth")
shutil.copy(source / "pfgm_ncsnpp/case.npz", "pfgm_ncsnpp.npz")
shutil.copy(source / "pfgmpp_ddpmpp_cond/training-state-000777.pt", "pfgmpp.pt")
shutil.copy(source / "pfgmpp_ddpmpp_cond/case.npz", "pfgmpp.npz")
