"""Half of the units of 18 networks cut without a hint, by Torch-Pruning and here: what is left, and whether it works.

    PYTHONPATH=FOLDER python -m benchmarks.torch_pruning [NETWORK ...]

where `pip install --no-deps --target FOLDER torch-pruning` put it. It cuts torchvision's, timm's and transformers'
networks, with the last layer left out as its examples do it and nothing else said; here every group that may be cut
loses half of its units. A network works if its output has the shape that it had, a training step gives finite weights,
and its numbers are fewer. Where Torch-Pruning or the networks cannot be imported its column says why.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import architrave
from architrave.backends.agree.trial import trial
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.prune import Plan, prune
from architrave.train import SGD, Recipe, Schedule, Trainer

LENGTH = 32
"""Of texts."""
NETWORKS: dict[str, tuple[str, str]] = {
    "ResNet50": ("torchvision.models", "resnet50"),
    "ResNeXt50": ("torchvision.models", "resnext50_32x4d"),
    "DenseNet121": ("torchvision.models", "densenet121"),
    "MobileNetV2": ("torchvision.models", "mobilenet_v2"),
    "EfficientNetB0": ("torchvision.models", "efficientnet_b0"),
    "ConvNeXtT": ("torchvision.models", "convnext_tiny"),
    "RegNetY400MF": ("torchvision.models", "regnet_y_400mf"),
    "VGG16": ("torchvision.models", "vgg16_bn"),
    "InceptionV3": ("torchvision.models", "inception_v3"),
    "ShuffleNetV2X1_0": ("torchvision.models", "shufflenet_v2_x1_0"),
    "GhostNet": ("timm", "ghostnet_100"),
    "ViTS16": ("timm", "vit_small_patch16_224"),
    "DeiTTi16": ("timm", "deit_tiny_patch16_224"),
    "SwinT": ("timm", "swin_tiny_patch4_window7_224"),
    "MLPMixerS16": ("timm", "mixer_s16_224"),
    "NFNetF0": ("timm", "dm_nfnet_f0"),
    "BERTBase": ("transformers", "Bert"),
    "GPT2Small": ("transformers", "GPT2"),
}


@dataclass(frozen=True)
class Row:
    """What came of a network: trained numbers and multiply-adds before and after, and how long that took."""

    numbers: tuple[int, int]
    macs: tuple[int, int]
    seconds: float

    def __str__(self) -> str:
        left, macs = (after / before for before, after in (self.numbers, self.macs))
        return f"works: {left:.1%} of the numbers, {macs:.1%} of the MACs, {self.seconds:.1f} s"


def ours(name: str) -> Row:
    """The network of the standard library."""
    network = architrave.load(name)
    weights = architrave.init(network)
    sizes = {**dict.fromkeys(network.symbols, LENGTH), "N": 1}
    start = time.process_time()
    plan = Plan(keep=0.5, by="units", scope="layer", minimum=0.0, sizes=sizes)
    found = prune(network, weights, plan)
    seconds = time.process_time() - start
    output, loss = found.graph.outputs[0], _squared(found.graph)
    assert output.type == network.outputs[0].type
    trainer = Trainer(loss, Recipe(SGD()), Schedule(1e-4, 1), backend="torch", weights=found.weights)
    trainer.train(*trial(found.graph, {**sizes, "N": 2}, 0, np.float32).inputs)
    assert all(np.isfinite(array).all() for array in trainer.weights().values())
    assert found.parameters[1] < found.parameters[0]
    return Row(found.parameters, found.macs, seconds)


def theirs(name: str) -> Row:
    """The network as it is published, by Torch-Pruning."""
    torch, pruning = importlib.import_module("torch"), importlib.import_module("torch_pruning")
    importlib.import_module("tests.reparam.torchvision_ops")
    model, example, last = _published(name)
    before = _step(torch, model, example)
    macs, numbers = pruning.utils.count_ops_and_params(model, example)
    start = time.process_time()
    importance = pruning.importance.GroupMagnitudeImportance()
    pruner = pruning.pruner.MagnitudePruner(model, example, importance, pruning_ratio=0.5, ignored_layers=last)
    pruner.step()
    seconds = time.process_time() - start
    # It cuts the output, too, where there is no last layer to leave out.
    assert _step(torch, model, example) == before or not last, "its output has another shape"
    macs_after, numbers_after = pruning.utils.count_ops_and_params(model, example)
    assert numbers_after < numbers, "nothing is cut"
    return Row((int(numbers), int(numbers_after)), (int(macs), int(macs_after)), seconds)


def _published(name: str) -> tuple[Any, Any, list[Any]]:
    """The network, an input, and its last layer."""
    torch = importlib.import_module("torch")
    package, known = NETWORKS[name]
    module = importlib.import_module(package)
    if package == "transformers":
        model = getattr(module, f"{known}Model")(getattr(module, f"{known}Config")(use_cache=False))
        return model, torch.randint(0, 1000, (1, LENGTH)), []
    size = {"InceptionV3": 299, "NFNetF0": 192}.get(name, 224)
    model = module.create_model(known) if package == "timm" else getattr(module, known)(weights=None)
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1000]
    return model, torch.randn(2, 3, size, size), last


def _step(torch: Any, model: Any, example: Any) -> tuple[int, ...]:
    """The shape of the output, of a model that has made a training step."""
    model.train()
    output = model(example)
    output = getattr(output, "logits", getattr(output, "last_hidden_state", output))
    model.zero_grad()
    (output * output).mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.eval()
    return tuple(output.shape)


def _squared(network: Graph) -> Graph:
    """The network with one number to be minimized."""
    output = network.outputs[0]
    return replace(network, outputs=(build.mean(output * output),))


def told(work: Callable[[str], Row], name: str) -> str:
    """What came of it, or the reason why nothing did."""
    try:
        return str(work(name))
    except ImportError as problem:
        return f"not run: {problem}"
    except Exception as problem:  # whatever goes wrong inside of either is what the table is about
        return f"fails: {type(problem).__name__}: {str(problem).splitlines()[0][:80] if str(problem) else ''}"


def main(names: list[str]) -> None:
    """Print a row of a table for each network."""
    warnings.simplefilter("ignore")
    print("| network | Torch-Pruning | here |\n|---|---|---|", flush=True)
    for name in names or NETWORKS:
        print(f"| {name} | {told(theirs, name)} | {told(ours, name)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
