#!/usr/bin/env bash
# Made the runs and expected numbers in this folder, once, with the program of commit cdae851: `make.sh PFGM` in an empty folder.
# They are never made anew: they say what runs of that program have to give, to the bit, for ever after.
set -euo pipefail
pfgm=$1
data() { printf '[data]\nsource = "%s"\n%s\n[train]\nsteps = 2\nbatch = 8\nwarmup = 1\nlog_every = 1\ncheckpoint_every = 2\n' "$1" "${2:-}"; }
unet='[network]
kind = "unet"
width = 8
multipliers = [1, 2]
blocks = 1
attention = [4]'
score='[network]
kind = "score-unet"
width = 8
multipliers = [1, 2]
blocks = 1
attention = [4]'
mkdir -p toml expected

printf 'height,weight,sort\n' > table.csv
for i in $(seq 1 30); do echo "$((150 + i * 7 % 40)),$((50 + i * 13 % 45)).5,$((i % 3))"; done >> table.csv
{ data heart; echo 'flow = { augmentation = 1, sigma_min = 1e-3 }' | sed 's/flow = .*/[flow]\naugmentation = 1\nsigma_min = 1e-3/'; printf '[objective]\nkind = "pfgm"\nfield_batch = 64\n[network]\nkind = "mlp"\nwidth = 16\nblocks = 2\n[sample.solver]\nmethod = "rk45"\nrtol = 1e-3\natol = 1e-3\n'; } > toml/mlp-pfgm.toml
{ data table.csv 'label = "sort"
conditional = true
hold_out = 5'; printf '[flow]\naugmentation = "inf"\n[objective]\nkind = "pfgm++"\nstd = 1.0\nreference = 16\n[network]\nkind = "mlp"\nwidth = 16\nblocks = 2\ndropout = 0.1\n[sample.solver]\nmethod = "ipndm"\nsteps = 5\norder = 2\n'; } > toml/table.toml
{ data digits 'conditional = true
hold_out = 297'; printf '[flow]\naugmentation = 128\n[objective]\nkind = "pfgm++"\n%s\n' "$unet"; } > toml/unet.toml
{ data digits; printf '[flow]\naugmentation = 1\nfar_field = false\n[objective]\nkind = "pfgm"\nfield_batch = 64\nrestrict = true\n%s\n[sample.solver]\nmethod = "unipc"\nsteps = 5\n' "$unet" | sed 's/"unipc"/"unipc-2"/'; } > toml/unet-pfgm.toml
{ data digits; printf '[flow]\naugmentation = 2048\n[objective]\nkind = "pfgm++"\n[network]\nkind = "adm-unet"\nwidth = 32\nmultipliers = [1]\nblocks = 1\nattention = [8]\nhead = 16\n[sample.solver]\nmethod = "dpmpp-2m"\nsteps = 5\n' | sed 's/^batch.*/&\naugment = 0.12/'; } > toml/adm.toml
sed -i 's/^warmup = 1/warmup = 1\naugment = 0.12/' toml/adm.toml
{ data digits; printf '[flow]\naugmentation = 1\nsigma_min = 1e-3\nsigma_max = 40\n[flow.output]\nkind = "field"\ngamma = 5\n[objective]\nkind = "pfgm"\nfield_batch = 64\nrestrict = true\n%s\nradial = true\n[sample.solver]\nmethod = "improved-euler"\nsteps = 5\n' "$score"; } > toml/score-field.toml
{ data digits; printf '[flow]\naugmentation = "inf"\nsigma_min = 0.02\nsigma_max = 30\n[flow.output]\nkind = "ve"\nscaled = true\nunit = 2\n[objective]\nkind = "pfgm++"\nlevels = "uniform"\n%s\nembedding = "fourier"\nfir = true\npyramid = true\n[sample.solver]\nmethod = "reverse-diffusion"\nsteps = 5\ncorrector = "langevin"\n' "$score"; } > toml/score-ve.toml
{ data digits; printf '[flow]\naugmentation = "inf"\nsigma_min = 0.01\nsigma_max = 100\n[flow.output]\nkind = "vp"\nbeta_min = 0.1\nbeta_max = 20\n[objective]\nkind = "pfgm++"\nlevels = "uniform"\n%s\n[sample.solver]\nmethod = "euler"\nsteps = 5\n' "$score"; } > toml/score-vp.toml
{ data digits; printf '[flow]\naugmentation = "inf"\nsigma_min = 0.01\nsigma_max = 100\n[flow.output]\nkind = "sub-vp"\nbeta_min = 0.1\nbeta_max = 20\n[objective]\nkind = "pfgm++"\nlevels = "uniform"\n%s\n[sample.solver]\nmethod = "deis"\nsteps = 5\norder = 3\n' "$score"; } > toml/score-sub-vp.toml
{ data digits; printf '[flow]\naugmentation = "inf"\nsigma_min = 0.02\nsigma_max = 30\n[flow.output]\nkind = "ve"\nscaled = false\n[objective]\nkind = "pfgm++"\n[network]\nkind = "ncsnv2"\nwidth = 8\n[sample.solver]\nmethod = "heun"\nsteps = 3\nschedule = "log-uniform"\n'; } > toml/ncsnv2.toml
{ data digits; printf '[flow]\naugmentation = 64\n[objective]\nkind = "pfgm++"\n%s\n' "$unet"; } > toml/patches.toml
sed -i 's/^warmup = 1/warmup = 1\npatch = 4\naccumulate = 2\nrecompute = true/' toml/patches.toml
for toml in toml/*.toml; do
  name=$(basename "$toml" .toml)
  "$pfgm" train "$toml" --out "full/$name"
done
rm -rf runs

# A cascade: the folder of a run for each stage.
sed -e 's/width = 32/width = 8/; s/steps = 1000/steps = 2/; s/batch = 128/batch = 8/; s/warmup = 100/warmup = 1/; s/cooldown = 300/cooldown = 0/; s/checkpoint_every = 250/checkpoint_every = 2/' "$(dirname "$0")/../../../../presets/cascades/digits-4-8.toml" > toml/digits-4-8.cascade
cp toml/digits-4-8.cascade cascade.toml
"$pfgm" cascade train cascade.toml --out full/cascade

# What is kept: averaged weights with the whole record; of two, everything that a training needs to go on.
mkdir -p runs
for run in full/*/checkpoints; do
  name=$(basename "$(dirname "$run")")
  "$pfgm" export "full/$name" --names run -o "runs/$name.safetensors"
done
for name in mlp-pfgm; do mkdir -p "runs/$name"; cp -r "full/$name/checkpoints" "full/$name/config.toml" "full/$name/log.jsonl" "runs/$name/"; done
for stage in full/cascade/*/; do
  stage=$(basename "$stage")
  mkdir -p "runs/cascade/$stage/checkpoints"
  "$pfgm" export "full/cascade/$stage" --names run -o "runs/cascade/$stage/checkpoints/step-00000002.safetensors" 2>/dev/null ||
    cp "full/cascade/$stage/checkpoints/step-00000002.safetensors" "runs/cascade/$stage/checkpoints/"
  cp "full/cascade/$stage/config.toml" "runs/cascade/$stage/"
done
[ -f full/cascade/cascade.toml ] && cp full/cascade/cascade.toml runs/cascade/

# Each line of commands.txt: a name, and a command that writes NAME.npz; or a dash, and a command that the next ones need.
cp -r runs kept
parity=$(dirname "$0")/../../../pfgm/tests/parity
while read -r name command; do
  [ -n "$name" ] || continue
  case $name in \#*) continue ;; esac
  command=${command//PARITY/$parity}
  # shellcheck disable=SC2086
  "$pfgm" ${command//OUT/expected\/$name.npz}
done < "$(dirname "$0")/commands.txt"
rm -rf runs && mv kept runs
