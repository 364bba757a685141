"""Compares two ranks with one core each with one process, in turn, on a machine that may be busy.

    python3 bench/ranks.py target/release/pfgm --what train --set network.width=32
    python3 bench/ranks.py target/release/pfgm --what sample --run runs/digits

train:  images/s of one process with two threads, and of two ranks. sample: seconds of one rank on one core, and of two ranks.
Each round times both, one after the other. The results are the median of the rounds' ratios, and the ratio of the best times.
"""
import argparse, json, os, re, statistics, subprocess, tempfile

ENV = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def run(arguments, folder):
    done = subprocess.run(arguments, cwd=folder, env=ENV, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def train(a, start, more, name, folder):
    """Images per second between the first and the last line of the log, without start and end."""
    changes = [f"train.steps={a.steps}", f"train.log_every={a.steps // 4}", "train.checkpoint_every=1000000", *a.set]
    run([*start, a.pfgm, "train", a.preset, *more, "--out", name, *[x for c in changes for x in ("--set", c)]], folder)
    first, *_, last = [json.loads(line) for line in open(f"{folder}/{name}/log.jsonl")][:-1]
    batch = int(re.search(r"(?m)^batch = (\d+)", open(f"{folder}/{name}/config.toml").read())[1])
    return batch * (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])


def sample(a, start, more, folder):
    said = run([*start, a.pfgm, "sample", a.run, "-n", str(a.count), *more, "-o", "out.png"], folder)
    return float(re.search(r"([\d.]+) s$", said, re.M)[1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pfgm")
    p.add_argument("--what", choices=["train", "sample"], default="train")
    p.add_argument("--preset", default="digits")
    p.add_argument("--set", action="append", default=[])
    p.add_argument("--steps", type=int, default=40)
    p.add_argument("--run")
    p.add_argument("--count", type=int, default=256)
    p.add_argument("--rounds", type=int, default=7)
    a = p.parse_args()
    a.pfgm, a.run = os.path.abspath(a.pfgm), a.run and os.path.abspath(a.run)
    mpirun = ["mpirun", "-n", "2", "--bind-to", "core"]
    ones, twos = [], []
    for index in range(a.rounds):
        with tempfile.TemporaryDirectory() as folder:
            if a.what == "train":
                ones.append(train(a, [], ["--threads", "2"], "one", folder))
                twos.append(train(a, mpirun, ["--distributed"], "two", folder))
            else:
                ones.append(sample(a, ["taskset", "-c", str(index % 2)], ["--threads", "1"], folder))
                twos.append(sample(a, mpirun, ["--distributed"], folder))
    if a.what == "train":
        ratio, best, unit = [t / o for o, t in zip(ones, twos)], max(twos) / max(ones), "images/s"
    else:
        ratio, best, unit = [o / (2 * t) for o, t in zip(ones, twos)], min(ones) / (2 * min(twos)), "s"
    show = lambda values: " ".join(f"{value:.3g}" for value in values)
    print(f"one process  {show(ones)} {unit}\ntwo ranks    {show(twos)} {unit}\nratio        {show(ratio)}")
    print(f"median of the ratios {statistics.median(ratio):.3f}, ratio of the best {best:.3f}")


main()
