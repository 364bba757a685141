#!/usr/bin/env bash
# Trains the runs of fashion-mnist-speed.toml and fashion-mnist-d.toml or, with `cifar10`, of cifar10-speed.toml: four models with the same
# network and budget. `cargo xtask fetch cifar10` downloads CIFAR-10. About half an hour on two cores; interrupted runs are resumed.
set -euo pipefail
what=${1:-fashion-mnist}
common=(--set network.attention=[] --set network.dropout=0 --set train.warmup=100 --set train.ema=0.998)
case $what in
fashion-mnist) common+=(--set network.width=16 --set train.steps=2000 --set train.cooldown=500) ;;
cifar10) common+=(--data data/cifar10 --set network.width=24 --set train.steps=2000 --set train.cooldown=500) ;;
*) echo "speed.sh [fashion-mnist|cifar10]" >&2; exit 2 ;;
esac
train() {
    local out=runs/$what-$1
    shift
    if [ -d "$out/checkpoints" ]; then pfgm train "$out" --resume; else pfgm train fashion-mnist "${common[@]}" "$@" --out "$out"; fi
}
infinite=(--set flow.extra_dims=inf --set objective.levels=uniform)
rates=(--set flow.output.beta_min=0.1 --set flow.output.beta_max=20 --set flow.sigma_max=152)
train pfgm --set flow.extra_dims=1 --set objective.kind=pfgm
train ve "${infinite[@]}" --set flow.output.kind=ve --set flow.output.scaled=true --set flow.output.unit=2 \
    --set flow.sigma_min=0.02 --set flow.sigma_max=100
train vp "${infinite[@]}" --set flow.output.kind=vp "${rates[@]}" --set flow.sigma_min=0.0105
train sub-vp "${infinite[@]}" --set flow.output.kind=sub-vp "${rates[@]}" --set flow.sigma_min=0.00011
if [ "$what" = fashion-mnist ]; then
    for d in 1 64 128 2048 inf; do train d$d --set flow.extra_dims=$d; done
fi
