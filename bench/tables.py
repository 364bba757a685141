#!/usr/bin/env python3
"""Compares tables drawn by pfgm and by a Gaussian mixture with held-out rows, and imputation and anomaly scores with scikit-learn's.

    cargo build --release && pip install scikit-learn pandas && python3 bench/tables.py

Each of five splits trains on two thirds of the rows. A random forest of scikit-learn (not the program's own) tells drawn rows from held-out rows, in
five-fold cross-validation: an area of 0.5 means that it cannot. `real` is the training rows in place of drawn ones. Intervals are 1.96 standard errors over the splits.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
HERE = Path(__file__).resolve().parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pfgm", default=str(HERE.parent / "target/release/pfgm"), help="the program")
parser.add_argument("--splits", type=int, default=5)
parser.add_argument("--tasks", default="tables,impute,anomaly", help="which of the three")
parser.add_argument("--train", default="", help="more arguments of `pfgm train`, separated by spaces")
parser.add_argument("--json", help="also write the numbers to this file")
args = parser.parse_args()
found = {}


def pfgm(folder, *arguments):
    started = time.time()
    done = subprocess.run([args.pfgm, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"pfgm {' '.join(map(str, arguments))}: {done.stderr}")
    return time.time() - started, done.stdout


def tables():
    wine, cancer, diabetes = (load(as_frame=True) for load in (load_wine, load_breast_cancer, load_diabetes))
    diabetes = load_diabetes(as_frame=True, scaled=False)
    cancer.frame["target"] = np.where(cancer.frame["target"] == 0, "malignant", "benign")
    wine.frame["target"] = wine.frame["target"].map(lambda kind: f"cultivar {kind}")
    diabetes.frame["sex"] = np.where(diabetes.frame["sex"] == 1, "a", "b")
    for column in ("age", "s1", "s3", "target"):
        if (diabetes.frame[column] % 1 == 0).all():
            diabetes.frame[column] = diabetes.frame[column].astype(int)
    return {"wine": wine.frame, "breast cancer": cancer.frame, "diabetes": diabetes.frame}


def codes(frame, like):
    """Numbers of a table, with the texts of `like` numbered."""
    out = frame.copy()
    for column in frame.columns:
        if like[column].dtype == object:
            out[column] = pd.Categorical(frame[column], categories=sorted(like[column].unique())).codes
    return out.to_numpy(float)


def area(a, b, seed):
    rows = np.vstack([a, b])
    kinds = np.r_[np.zeros(len(a)), np.ones(len(b))]
    forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=seed, n_jobs=-1)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return roc_auc_score(kinds, cross_val_predict(forest, rows, kinds, cv=folds, method="predict_proba")[:, 1])


def mixture(train, count, seed):
    """Rows of the Gaussian mixture with the best BIC, rounded as the data are."""
    numbers = codes(train, train)
    scaler = StandardScaler().fit(numbers)
    fits = [GaussianMixture(k, covariance_type="full", reg_covar=1e-3, random_state=seed).fit(scaler.transform(numbers)) for k in range(1, 9)]
    best = min(fits, key=lambda fit: fit.bic(scaler.transform(numbers)))
    drawn = scaler.inverse_transform(best.sample(count)[0])
    for place, column in enumerate(train.columns):
        if train[column].dtype == object or train[column].dtype.kind == "i":
            drawn[:, place] = np.clip(np.round(drawn[:, place]), numbers[:, place].min(), numbers[:, place].max())
    return drawn


def interval(values):
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} +- {1.96 * statistics.stdev(values) / len(values) ** 0.5:.3f}"


def report(name, scores):
    found[name] = scores
    for method, of in scores.items():
        print(f"{name:<16}{method:<22}" + "   ".join(f"{key} {interval(values)}" for key, values in of.items()), flush=True)


def run_tables(folder):
    for name, frame in tables().items():
        scores = {method: {"area": [], "KS": [], "usefulness": []} for method in ("pfgm", "mixture", "real")}
        seconds = []
        for split in range(args.splits):
            train, test = train_test_split(frame, train_size=2 / 3, random_state=split)
            train.to_csv(folder / "train.csv", index=False)
            spent, _ = pfgm(folder, "train", "train.csv", "--out", f"{name}-{split}".replace(" ", "-"), "--set", f"train.seed={split}", *args.train.split())
            seconds.append(spent)
            pfgm(folder, "sample", f"{name}-{split}".replace(" ", "-"), "-n", len(test), "--csv", "drawn.csv", "--batch", 512)
            held_out = codes(test, frame)
            rows = {"pfgm": codes(pd.read_csv(folder / "drawn.csv")[list(frame.columns)], frame), "mixture": mixture(train, len(test), split)}
            rows["real"] = codes(train.sample(len(test), random_state=split, replace=len(test) > len(train)), frame)
            for method, drawn in rows.items():
                scores[method]["area"].append(area(drawn, held_out, split))
                scores[method]["KS"].append(np.mean([ks_2samp(drawn[:, c], held_out[:, c]).statistic for c in range(drawn.shape[1])]))
                if name != "diabetes":
                    forest = RandomForestClassifier(300, random_state=split, n_jobs=-1).fit(drawn[:, :-1], drawn[:, -1])
                    scores[method]["usefulness"].append(np.mean(forest.predict(held_out[:, :-1]) == held_out[:, -1]))
        for of in scores.values():
            if not of["usefulness"]:
                del of["usefulness"]
        report(name, scores)
        print(f"{name:<16}seconds of training: {interval(seconds)}", flush=True)


def run_impute(folder):
    frame = load_wine(as_frame=True).data
    scores = {method: {"RMSE": [], "coverage of 90 %": []} for method in ("pfgm", "IterativeImputer", "nearest rows")}
    draws = 50
    for split in range(args.splits):
        generator = np.random.default_rng(split)
        truth = frame.to_numpy()
        holes = generator.random(truth.shape) < 0.2
        given = frame.mask(holes)
        given.to_csv(folder / "holes.csv", index=False)
        run = f"holes-{split}"
        pfgm(folder, "train", "holes.csv", "--out", run, "--set", f"train.seed={split}", *args.train.split())
        pfgm(folder, "impute", run, "--data", "holes.csv", "--draws", draws, "-o", "full.csv", "--multiple", "draws")
        spread = np.nanstd(given.to_numpy(), axis=0)
        drawn = np.stack([pd.read_csv(folder / f"draws/draw-{draw + 1:02}.csv").to_numpy() for draw in range(draws)])

        def add(method, means, low=None, high=None):
            error = ((means - truth) / spread)[holes]
            scores[method]["RMSE"].append(np.sqrt(np.mean(error**2)))
            if low is not None:
                scores[method]["coverage of 90 %"].append(np.mean(((truth >= low) & (truth <= high))[holes]))

        add("pfgm", drawn.mean(0), np.quantile(drawn, 0.05, axis=0), np.quantile(drawn, 0.95, axis=0))
        many = np.stack([IterativeImputer(sample_posterior=True, random_state=draw).fit_transform(given) for draw in range(draws)])
        add("IterativeImputer", IterativeImputer(random_state=0).fit_transform(given), np.quantile(many, 0.05, axis=0), np.quantile(many, 0.95, axis=0))
        scaled = (given - given.mean()) / given.std()
        near = KNNImputer(n_neighbors=5).fit_transform(scaled) * given.std().to_numpy() + given.mean().to_numpy()
        add("nearest rows", near)
    del scores["nearest rows"]["coverage of 90 %"]
    report("wine, 20 % holes", scores)


def run_anomaly(folder):
    data = load_breast_cancer(as_frame=True)
    benign, malignant = data.data[data.target == 1], data.data[data.target == 0]
    methods = ("denoising", "combined", "IsolationForest", "LocalOutlierFactor")
    scores = {method: {"area": [], "seconds": []} for method in methods}
    for split in range(args.splits):
        train, usual = train_test_split(benign, train_size=2 / 3, random_state=split)
        for name, rows in (("train", train), ("usual", usual), ("odd", malignant)):
            rows.to_csv(folder / f"{name}.csv", index=False)
        run = f"benign-{split}"
        spent, _ = pfgm(folder, "train", "train.csv", "--out", run, "--set", f"train.seed={split}", *args.train.split())
        seconds, _ = pfgm(folder, "anomaly", run, "--data", "odd.csv", "--normal-data", "usual.csv", "--csv", "scores.csv", "--batch", 1024)
        table = pd.read_csv(folder / "scores.csv")
        for method in ("denoising", "combined"):
            scores[method]["area"].append(roc_auc_score(~table["normal"].astype(bool), table[method]))
            scores[method]["seconds"].append(seconds)
        both = pd.concat([usual, malignant]).to_numpy()
        kinds = np.r_[np.zeros(len(usual)), np.ones(len(malignant))]
        for method, model in (("IsolationForest", IsolationForest(random_state=split)), ("LocalOutlierFactor", LocalOutlierFactor(novelty=True))):
            started = time.time()
            scaler = StandardScaler().fit(train.to_numpy())
            score = -model.fit(scaler.transform(train.to_numpy())).score_samples(scaler.transform(both))
            scores[method]["area"].append(roc_auc_score(kinds, score))
            scores[method]["seconds"].append(time.time() - started)
    report("benign/malignant", scores)


with tempfile.TemporaryDirectory() as place:
    for task in args.tasks.split(","):
        {"tables": run_tables, "impute": run_impute, "anomaly": run_anomaly}[task](Path(place))
if args.json:
    Path(args.json).write_text(json.dumps(found, indent=1))
