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
    from torchvision.models import convnext, densenet, efficientnet, mobilenetv2, mobilenetv3, resnet, shufflenetv2, vgg
    from torchvision.models.swin_transformer import SwinTransformer

    basic = resnet.ResNet(resnet.BasicBlock, [2, 1, 1, 1], num_classes=5)
    yield "resnet18", {"classes": 5, "depths": [2, 1, 1, 1], "size": 40}, basic
    bottleneck = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1], num_classes=5)
    yield "resnet50", {"classes": 5, "depths": [2, 1, 1, 1], "size": 40}, bottleneck

    grouped = resnet.ResNet(resnet.Bottleneck, [2, 1, 1, 1], num_classes=5, groups=4, width_per_group=8)
    arguments = {"classes": 5, "depths": [2, 1, 1, 1], "groups": 4, "group_width": 8, "size": 40}
    yield "resnext50", arguments, grouped

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

    shuffled = shufflenetv2.ShuffleNetV2([2, 3, 1], [6, 8, 12, 16, 24], num_classes=5)
    sizes = {"depths": [2, 3, 1], "widths": [8, 12, 16], "stem": 6, "last": 24}
    yield "shufflenet_v2_x1_0", {"classes": 5, **sizes, "size": 40}, shuffled

    # Images that fill no whole windows, an odd number of cells to merge, and at last a single window.
    windows = SwinTransformer([4, 4], 16, [2, 2, 2], [2, 4, 8], [3, 3], num_classes=5)
    sizes = {"width": 16, "depths": [2, 2, 2], "heads": [2, 4, 8], "window": 3}
    yield "swin_t", {"classes": 5, **sizes, "size": 44}, windows

    sizes = {"width": 1 / 16, "pooled": [32, 64], "hidden": [128, 160], "last": 1}
    yield "inception_v3", {"classes": 5, **sizes, "size": 75}, narrow_inception(aux=False)
    # The second classifier looks at what is left of an image of the size that the network was made for.
    yield "inception_v3", {"classes": 5, **sizes, "aux": True, "size": 299}, narrow_inception(aux=True)

    for name in ("mobilenet_v3_large", "mobilenet_v3_small"):
        settings, last = mobilenetv3._mobilenet_v3_conf(name, width_mult=0.25)
        network = mobilenetv3.MobileNetV3(settings, last, num_classes=5)
        yield name, {"classes": 5, "width": 0.25, "size": 40}, network


def narrow_inception(*, aux: bool) -> Any:
    """Inception-v3 with a sixteenth of its channels, and of repeated blocks two or one."""
    from torch import nn
    from torchvision.models import inception

    def narrow(before: int, after: int, **rest: Any) -> Any:
        return inception.BasicConv2d(before if before == 3 else before // 16, after // 16, **rest)

    names = ("InceptionA", "InceptionB", "InceptionC", "InceptionD", "InceptionE", "InceptionAux")
    blocks = [partial(getattr(inception, name), conv_block=narrow) for name in names]
    network = inception.Inception3(5, aux, inception_blocks=[narrow, *blocks], init_weights=True)
    for name in ("Mixed_5d", "Mixed_6d", "Mixed_6e", "Mixed_7c"):
        setattr(network, name, nn.Identity())
    network.fc = nn.Linear(2048 // 16, 5)
    nn.init.normal_(network.fc.weight, 0, 0.1)
    if aux:
        network.AuxLogits.fc = nn.Linear(768 // 16, 5)
    return network


def record(network: Any, size: int) -> dict[str, Any]:
    """The shapes of the network's weights, the spread that large ones start with, and the outputs for `image(size)`."""
    import torch

    # Integers are counters and tables of indices, which follow from the shapes.
    state = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    spread = {key: round(float(value.std()), 8) for key, value in state.items() if value.numel() >= MANY}
    weights = {key: torch.from_numpy(weight(key, tuple(value.shape))) for key, value in state.items()}
    network.load_state_dict(weights, strict=False)
    # Only in training Inception-v3 gives both of its outputs: it alone is told so, and not the layers in it.
    network.eval().training = getattr(network, "aux_logits", False)
    with torch.no_grad():
        result = network(torch.from_numpy(image(size)))
    outputs = result if isinstance(result, tuple) else (result,)
    shapes = {key: list(value.shape) for key, value in state.items()}
    return {"shapes": shapes, "spread": spread, "outputs": [output.tolist() for output in outputs]}


def main() -> None:
    import torch

    import tests.reparam.torchvision_ops  # noqa: F401  # lets torchvision be imported

    torch.manual_seed(0)
    cases = [
        {"network": name, "arguments": arguments, **record(network, arguments["size"])}
        for name, arguments, network in networks()
    ]
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
