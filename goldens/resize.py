"""Numbers for crates/eval/src/extractor/resize.rs: torch's bilinear resizing. `pip install torch`."""

import torch

image = (torch.arange(18.0) ** 2).reshape(1, 2, 3, 3).permute(0, 3, 1, 2)
resized = torch.nn.functional.interpolate(image, size=(5, 5), mode="bilinear", align_corners=False)
sums = (resized * torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)).sum(1).flatten()
for row in sums.reshape(5, 5).tolist():
    print(", ".join(repr(round(value, 2)) for value in row) + ",")
