"""Random networks of diffusers' UNet2DModel with their outputs: python crates/pfgm/tests/parity/diffusers_unets.py FOLDER [NAME ...]

Each case is a folder as save_pretrained writes it, and case.npz: `x`, `timestep` (and `labels`) -> `output`, `denoised`; from `prior_x` ->
`sample_ddim10` at `ddim_timesteps` by DDIM (eta 0, no clipping, alpha 1 at the end). Needs torch, diffusers and numpy.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

PLAIN = dict(down_block_types=["DownBlock2D"] * 2, up_block_types=["UpBlock2D"] * 2)
CASES = {
    # name: (network, scheduler, options of saving)
    "resnet": (
        dict(
            sample_size=8, in_channels=2, out_channels=2, block_out_channels=[8, 12], layers_per_block=1, norm_num_groups=4,
            down_block_types=["ResnetDownsampleBlock2D", "AttnDownBlock2D"], up_block_types=["ResnetUpsampleBlock2D", "AttnUpBlock2D"],
            resnet_time_scale_shift="scale_shift", attention_head_dim=4, num_class_embeds=3,
        ),
        dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction"),
        {},
    ),
    "learned": (
        dict(
            sample_size=[8, 12], in_channels=1, out_channels=2, block_out_channels=[6, 9, 12], layers_per_block=1, norm_num_groups=3,
            down_block_types=["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
            up_block_types=["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"], downsample_type="resnet", upsample_type="resnet",
            attention_head_dim=3, mid_block_type=None, act_fn="gelu", downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        ),
        dict(trained_betas=np.linspace(1e-3, 0.2, 50).tolist(), num_train_timesteps=50, prediction_type="sample", variance_type="learned"),
        dict(safe_serialization=False),
    ),
    "zero_snr": (
        dict(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=[8, 8], layers_per_block=2, norm_num_groups=2,
            resnet_time_scale_shift="scale_shift", attn_norm_num_groups=4, attention_head_dim=None, mid_block_scale_factor=1.5,
            center_input_sample=True, num_class_embeds=4, class_embed_type="timestep", act_fn="mish", **PLAIN,
        ),
        dict(beta_schedule="linear", rescale_betas_zero_snr=True, prediction_type="v_prediction"),
        dict(max_shard_size="20KB"),
    ),
    "no_attention": (
        dict(
            sample_size=12, block_out_channels=[16, 8, 24], layers_per_block=2, norm_num_groups=8, add_attention=False, act_fn="relu",
            down_block_types=["DownBlock2D", "ResnetDownsampleBlock2D", "DownBlock2D"],
            up_block_types=["ResnetUpsampleBlock2D", "UpBlock2D", "UpBlock2D"], time_embedding_dim=24, attention_head_dim=8,
        ),
        dict(beta_schedule="sigmoid", num_train_timesteps=200),
        {},
    ),
    "heads": (
        # Attention of fewer channels than the level has: two heads of eight for 20 channels.
        dict(
            sample_size=8, block_out_channels=[20, 20], layers_per_block=1, norm_num_groups=4, attention_head_dim=8,
            down_block_types=["AttnDownBlock2D", "AttnDownBlock2D"], up_block_types=["UpBlock2D", "AttnUpBlock2D"],
        ),
        dict(beta_schedule="squaredcos_cap_v2", num_train_timesteps=100, prediction_type="sample"),
        {},
    ),
    "fourier": (
        dict(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=[8, 16], layers_per_block=1, norm_num_groups=4,
            time_embedding_type="fourier", attention_head_dim=8, downsample_type="resnet",
            down_block_types=["DownBlock2D", "AttnDownBlock2D"], up_block_types=["AttnUpBlock2D", "UpBlock2D"],
        ),
        dict(beta_schedule="linear"),
        {},
    ),
    "one_level": (
        dict(
            sample_size=7, block_out_channels=[8], layers_per_block=3, norm_num_groups=8, attention_head_dim=2, norm_eps=1e-3,
            down_block_types=["AttnDownBlock2D"], up_block_types=["AttnUpBlock2D"], freq_shift=0.5,
        ),
        dict(beta_schedule="laplace", num_train_timesteps=300),
        {},
    ),
    "deep": (
        dict(
            sample_size=32, block_out_channels=[32, 32, 64, 64], layers_per_block=2, norm_num_groups=32, attention_head_dim=16,
            down_block_types=["DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
            up_block_types=["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"], attn_norm_num_groups=16, num_class_embeds=10,
        ),
        dict(beta_schedule="linear"),
        {},
    ),
    "swish_odd": (
        dict(
            sample_size=8, in_channels=4, out_channels=4, block_out_channels=[15, 10], layers_per_block=1, norm_num_groups=5, act_fn="swish",
            down_block_types=["UNetResDownBlock2D", "UNetResAttnDownBlock2D"], up_block_types=["UNetResAttnUpBlock2D", "UNetResUpBlock2D"],
            attention_head_dim=5, resnet_time_scale_shift="scale_shift",
        ),
        dict(beta_schedule="scaled_linear"),
        {},
    ),
}


def randomize(network, seed):
    """Weights of a trained network's size, norms included."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if name.startswith("time_proj"):
            weight.data = noise
        elif weight.ndim == 1:
            weight.data = (1 if "norm" in name and name.endswith("weight") else 0) + 0.1 * noise
        else:
            weight.data = noise / weight[0].numel() ** 0.5


@torch.no_grad()
def write(folder, name):
    options, schedule, saving = CASES[name]
    network = UNet2DModel(**options).eval()
    randomize(network, len(name))
    scheduler = DDPMScheduler(**schedule)
    DDPMPipeline(network, scheduler).save_pretrained(folder / name, **saving)
    generator = torch.Generator().manual_seed(3)
    size = options["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    channels, steps = network.config.in_channels, scheduler.config.num_train_timesteps
    draw = lambda: torch.randn((3, channels, height, width), generator=generator)
    labels = {}
    if network.config.num_class_embeds:
        labels = {"class_labels": torch.tensor([0, 2, 1]) % network.config.num_class_embeds}
    alpha_bar = scheduler.alphas_cumprod
    # A last step without signal has no noise level, and the first has no logarithm.
    last = steps - 2 if schedule.get("rescale_betas_zero_snr") else steps - 1
    first = 1 if options.get("time_embedding_type") == "fourier" else 0
    timestep = torch.tensor([first, steps // 3, last])
    evaluate = lambda x, t: network(x, t.float() if first else t, **labels).sample[:, :channels]
    x = draw()
    output = evaluate(x, timestep)

    def data(x, t, output):
        a = alpha_bar[t].double().sqrt().reshape(-1, 1, 1, 1)
        b = (1 - alpha_bar[t].double()).sqrt().reshape(-1, 1, 1, 1)
        kind = scheduler.config.prediction_type
        return output if kind == "sample" else (x - b * output) / a if kind == "epsilon" else a * x - b * output

    arrays = {"x": x, "timestep": timestep, "output": output, "denoised": data(x, timestep, output).float(), "alphas_cumprod": alpha_bar}
    prior = x = draw()
    times = torch.linspace(last, first, 10).round().long()
    for now, after in zip(times, [*times[1:], None]):
        output = evaluate(x, now.expand(3)).double()
        y = data(x.double(), now.expand(3), output)
        a, b = alpha_bar[now].double().sqrt(), (1 - alpha_bar[now].double()).sqrt()
        noise = (x.double() - a * y) / b
        a, b = (1.0, 0.0) if after is None else (alpha_bar[after].double().sqrt(), (1 - alpha_bar[after].double()).sqrt())
        x = (a * y + b * noise).float()
    arrays |= {"prior_x": prior, "ddim_timesteps": times, "sample_ddim10": x}
    if labels:
        arrays["labels"] = labels["class_labels"]
    np.savez_compressed(folder / name / "case.npz", **{key: value.numpy() for key, value in arrays.items()})


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    for name in names or CASES:
        write(Path(folder), name)
