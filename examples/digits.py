"""Three plans that learn to read handwritten digits: each starts by itself when the data that it wants is there.

    raykqi plan apply examples/digits.py
    raykqi data push digits.csv.gz -t type:digits

`prepare` takes what was scanned, `train` what `prepare` made for training, `evaluate` every model with the rest.
"""

from __future__ import annotations

import json
from pathlib import Path

import raykqi

__all__ = ["evaluate", "prepare", "train"]


@raykqi.plan(
    inputs={"scans": ["type:digits"]},
    outputs={"training": ["type:dataset", "split:train"], "testing": ["type:dataset", "split:test"]},
)
def prepare(scans: Path, training: Path, testing: Path, test_share: float = 0.25) -> None:
    """Images of 8 by 8 pixels and their labels, scaled, in two parts with as many of each digit."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    table = np.loadtxt(scans / "digits.csv.gz", delimiter=",")
    images, labels = table[:, :-1] / 16.0, table[:, -1].astype(int)
    parts = train_test_split(images, labels, test_size=test_share, stratify=labels, random_state=0)
    for folder, its_images, its_labels in ((training, *parts[0::2]), (testing, *parts[1::2])):
        np.savez_compressed(folder / "digits.npz", images=its_images, labels=its_labels)
        print(f"{len(its_labels)} digits for {folder.name}")


@raykqi.plan(inputs={"dataset": ["type:dataset", "split:train"]}, outputs={"model": ["type:model"]})
def train(dataset: Path, model: Path, gamma: float = 0.01) -> None:
    """A support vector machine; `gamma` says how far one example reaches. Its card says how images become inputs."""
    import numpy as np
    import skops.io
    from sklearn.svm import SVC

    digits = np.load(dataset / "digits.npz")
    machine = SVC(gamma=gamma).fit(digits["images"], digits["labels"])
    skops.io.dump(machine, model / "model.skops")
    card = {"title": f"digits, gamma {gamma}", "image": {"size": [8, 8], "mode": "L", "scale": 1 / 255}}
    (model / "model-card.json").write_text(json.dumps(card))
    (model / "params.json").write_text(json.dumps({"gamma": gamma}))
    print(f"{machine.n_support_.sum()} of {len(digits['labels'])} examples were kept as support vectors")


@raykqi.plan(
    inputs={"model": ["type:model"], "testing": ["type:dataset", "split:test"]}, outputs={"metrics": ["type:metrics"]}
)
def evaluate(model: Path, testing: Path, metrics: Path) -> None:
    """How many of the digits that it never saw the model reads as what they are."""
    import numpy as np
    import skops.io

    digits = np.load(testing / "digits.npz")
    right = skops.io.load(model / "model.skops").predict(digits["images"]) == digits["labels"]
    params = json.loads((model / "params.json").read_text())
    result = {**params, "accuracy": round(float(right.mean()), 4), "digits": len(right)}
    (metrics / "metrics.json").write_text(json.dumps(result, indent=2))
    print(f"{right.sum()} of {len(right)} right")
