"""Writes golden/torchvision.json: what small torchvision networks hold, and what they give.

    python -m tests.parity.torchvision_golden

needs torchvision; the test that reads the file does not. Weights and images are functions of their names,
so the file holds shapes and outputs alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent / "golden" / "torchvision.json"
MANY = 500
"""The spread of this many random numbers says how they were drawn."""


def weight(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A weight of a sensible scale that depends on its key alone."""
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("running_var"):
        return (np.abs(noise) + 0.5).astype(np.float32)
    if len(shape) == 1:
        return (float(key.endswith("weight")) + 0.2 * noise).astype(np.float32)
    return (noise * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


def image(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((2, 3, size, size)).astype(np.float32)


def networks() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """The name and static arguments of each network of ours, and torchvision's own."""
    from torch import nn
    from torchvision.models import convnext, densenet, efficientnet, mobilenetv2, resnet, vgg

    basic = resnet.ResNet(resnet.BasicBlock, [2, 1, 1, 1], num_classes=5)
    yield "resnet18", {"classes": 5, "depths": [2, 1, 1, 1], "size": 40}, basic
    bottleneck = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1], num_classes=5)
    yield "resnet50", {"classes": 5, "depths": [2, 1, 1, 1], "size": 40}, bottleneck

    column = vgg.VGG(vgg.make_layers([8, "M", 16, 16, "M"]), num_classes=5)
    # Its linear layers have a fixed width, which is too large here.
    for index, (wide, narrow) in {0: (16 * 7 * 7, 32), 3: (32, 32), 6: (32, 5)}.items():
        column.classifier[index] = nn.Linear(wide, narrow)
        nn.init.normal_(column.classifier[index].weight, 0, 0.01)
    yield "vgg16", {"classes": 5, "width": 8, "depths": [1, 2], "hidden": 32, "size": 28}, column

    dense = densenet.DenseNet(growth_rate=4, block_config=(2, 3), num_init_features=8, num_classes=5)
    yield "densenet121", {"classes": 5, "width": 8, "growth": 4, "depths": [2, 3], "size": 40}, dense

    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]
    mobile = mobilenetv2.MobileNetV2(num_classes=5, width_mult=0.25, inverted_residual_setting=stages)
    yield "mobilenet_v2", {"classes": 5, "width": 0.25, "stages": stages, "size": 40}, mobile

    scaled = partial(efficientnet._efficientnet_conf, width_mult=0.25, depth_mult=0.3)
    settings, _ = scaled("efficientnet_b0")
    arguments = {"classes": 5, "width": 0.25, "depth": 0.3, "size": 40}
    yield "efficientnet_b0", arguments, efficientnet.EfficientNet(settings, 0.2, num_classes=5)
    coarse = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    yield "efficientnet_b5", arguments, efficientnet.EfficientNet(settings, 0.2, num_classes=5, norm_layer=coarse)

    two_stages = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 2)]
    tiny = convnext.ConvNeXt(two_stages, num_classes=5)
    yield "convnext_t", {"classes": 5, "depths": [1, 2], "widths": [8, 16], "size": 40}, tiny


def record(network: Any, size: int) -> dict[str, Any]:
    """The shapes of the network's weights, the spread that large ones start with, and the output for `image(size)`."""
    import torch

    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    spread = {key: round(float(value.std()), 8) for key, value in state.items() if value.numel() >= MANY}
    weights = {key: torch.from_numpy(weight(key, tuple(value.shape))) for key, value in state.items()}
    network.load_state_dict(weights, strict=False)
    with torch.no_grad():
        output = network.eval()(torch.from_numpy(image(size)))
    shapes = {key: list(value.shape) for key, value in state.items()}
    return {"shapes": shapes, "spread": spread, "output": output.tolist()}


def main() -> None:
    cases = [
        {"network": name, "arguments": arguments, **record(network, arguments["size"])}
        for name, arguments, network in networks()
    ]
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
