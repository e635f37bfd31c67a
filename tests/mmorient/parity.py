"""Hold every intermediate result against numbers computed elsewhere: ``python -m tests.mmorient.parity FILE.npz``.

The file holds inputs, weights (Keras style, ``[in, out]``) and results of the published formulation: the batch as its
own context, no mask, no dropout, no stage 2. All sizes come from the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmorient.network.cmrl import Nodes, adjacency, neighbourhood_mean
from mmorient.network.hima import ElementAttention
from mmorient.network.mm_orient import MmOrient, ModelSizes, PostTensors

TOLERANCE = 1e-5
GRAPHS = ("img_img", "txt_txt", "img_txt", "txt_img")


def differences(file: Path) -> dict[str, float]:
    """The largest absolute difference of each result in the file."""
    with np.load(file) as arrays:
        given = {name: torch.from_numpy(np.asarray(arrays[name], dtype=np.float32)) for name in arrays.files}
    words = _attention(given, "word")(given["tokens"])
    regions = _attention(given, "region")(given["regions"])
    everywhere = torch.ones(len(given["tokens"]), dtype=torch.bool)
    posts = PostTensors(
        words.vector, given["text_global"], everywhere, regions.vector, given["image_global"], everywhere
    )
    model = _model(given)
    context = model.batch_context(posts)
    multifeature = model.multifeature(posts, context, given["task_features"])
    threshold, loops = float(given["threshold"]), torch.eye(len(everywhere))
    by_image = _others(posts.picture_global, everywhere, threshold)
    by_text = _others(posts.text_global, everywhere, threshold)
    found: dict[str, Tensor] = {
        "word_weights": words.weights,
        "word_vector": words.vector,
        "region_weights": regions.weights,
        "region_vector": regions.vector,
        "adj_image": by_image + loops,
        "adj_text": by_text + loops,
        "multifeature": multifeature,
        "trunk": model.classifier.trunk(multifeature),
    }
    for graph in GRAPHS:
        own = posts.picture_global if graph.startswith("img") else posts.text_global
        neighbours = by_image if graph.endswith("img") else by_text
        convolution = getattr(model.relations, graph)
        found[f"sage_{graph}_out"] = convolution(own, neighbourhood_mean(own, neighbours, own))
    for head, logits in model(posts, context, given["task_features"]).items():
        found[f"{head}_probs"] = logits.softmax(-1)
    return {name: float((found[name] - given[name]).abs().max()) for name in found}


def _others(globals_: Tensor, present: Tensor, threshold: float) -> Tensor:
    near = adjacency(globals_, present, Nodes.of(globals_, present, globals_[0]), threshold)
    return near * (1 - torch.eye(len(near)))


def _attention(given: dict[str, Tensor], element: str) -> ElementAttention:
    kernel = given[f"{element}_attention_kernel"]
    attention = ElementAttention(len(kernel))
    attention.load_state_dict({"kernel": kernel, "bias": given[f"{element}_attention_bias"]})
    return attention


def _model(given: dict[str, Tensor]) -> MmOrient:
    heads = sorted(name.removesuffix("_kernel") for name in given if name.startswith("head") and "kernel" in name)
    sizes = ModelSizes(
        text_vector=given["tokens"].shape[-1],
        picture_vector=given["regions"].shape[-1],
        global_vector=given["text_global"].shape[-1],
        trunk=(given["dense1_kernel"].shape[1], given["dense2_kernel"].shape[1]),
        probes={"given": given["task_features"].shape[-1]},
        heads={head: given[f"{head}_kernel"].shape[1] for head in heads},
        batch_bias=False,
    )
    model = MmOrient(sizes, float(given["threshold"])).eval()
    places = {"dense1": "classifier.dense1", "dense2": "classifier.dense2"}
    places |= {f"sage_{graph}": f"relations.{graph}.linear" for graph in GRAPHS}
    places |= {head: f"classifier.heads.{head}" for head in heads}
    weights = {}
    for name, place in places.items():
        weights[f"{place}.weight"] = given[f"{name}_kernel"].T
        weights[f"{place}.bias"] = given[f"{name}_bias"]
    missing = model.load_state_dict(weights, strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"no place for {missing.unexpected_keys}")
    return model


def main() -> int:
    """Print the differences; 1 where one is over the tolerance."""
    with torch.inference_mode():
        found = differences(Path(sys.argv[1]))
    for name, difference in found.items():
        print(f"{name:24s} {difference:.2e}{'' if difference <= TOLERANCE else '   OVER'}")
    return int(any(not difference <= TOLERANCE for difference in found.values()))


if __name__ == "__main__":
    sys.exit(main())
