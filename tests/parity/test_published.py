"""Our networks at their full size: torchvision's weights, by name and shape, and the counts that it publishes."""

from __future__ import annotations

from typing import Any

import pytest

import architrave
from architrave.ir.cost import multiply_adds, parameters
from architrave.ir.ops.leaves import path_of

torch = pytest.importorskip("torch")
pytest.importorskip("tests.reparam.torchvision_ops")
models = pytest.importorskip("torchvision.models")

NAMED_ALIKE: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet18": ("ResNet18", {}),
    "resnet34": ("ResNet34", {}),
    "resnet50": ("ResNet50", {}),
    "resnet101": ("ResNet101", {}),
    "resnet152": ("ResNet152", {}),
    "resnext50_32x4d": ("ResNeXt50", {}),
    "resnext101_32x8d": ("ResNeXt50", {"depths": [3, 4, 23, 3], "group_width": 8}),
    "resnext101_64x4d": ("ResNeXt50", {"depths": [3, 4, 23, 3], "groups": 64}),
    "densenet121": ("DenseNet121", {}),
    "densenet169": ("DenseNet169", {}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_large": ("MobileNetV3Large", {}),
    "mobilenet_v3_small": ("MobileNetV3Small", {}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "convnext_tiny": ("ConvNeXtT", {}),
    "vgg16": ("VGG16", {}),
    "inception_v3": ("InceptionV3", {"aux": True}),
    "shufflenet_v2_x0_5": ("ShuffleNetV2X0_5", {}),
    "shufflenet_v2_x1_0": ("ShuffleNetV2X1_0", {}),
    "shufflenet_v2_x1_5": ("ShuffleNetV2X1_0", {"widths": [176, 352, 704]}),
    "shufflenet_v2_x2_0": ("ShuffleNetV2X1_0", {"widths": [244, 488, 976], "last": 2048}),
    "swin_t": ("SwinT", {}),
    "swin_s": ("SwinT", {"depths": [2, 2, 18, 2]}),
    "swin_b": ("SwinT", {"width": 128, "depths": [2, 2, 18, 2], "heads": [4, 8, 16, 32]}),
}
"""By torchvision's name: ours, and the arguments that make it that network."""
COUNTED_ALIKE = {
    **NAMED_ALIKE,
    "inception_v3": ("InceptionV3", {}),
    "regnet_y_400mf": ("RegNetY400MF", {}),
    "regnet_y_1_6gf": ("RegNetY1600MF", {}),
    "regnet_y_16gf": ("RegNetY16GF", {}),
    "vit_b_16": ("ViTB16", {}),
}
"""Inception-v3's operations are published without, its parameters with its second classifier."""


@pytest.mark.parametrize("name", NAMED_ALIKE)
def test_weights_are_named_and_shaped_alike(name: str) -> None:
    options = {"init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        theirs = getattr(models, name)(**options).state_dict()
    ours, arguments = NAMED_ALIKE[name]
    found = {path_of(weight): weight.shape for weight in architrave.load(ours, **arguments).weights}
    assert found == {key: tuple(value.shape) for key, value in theirs.items() if value.is_floating_point()}


@pytest.mark.parametrize("name", COUNTED_ALIKE)
def test_counts_are_the_published_ones(name: str) -> None:
    published = models.get_model_weights(name).DEFAULT.meta
    ours, arguments = COUNTED_ALIKE[name]
    graph = architrave.load(ours, **arguments)
    assert multiply_adds(graph, {"N": 1}) / 1e9 == pytest.approx(published["_ops"], abs=1e-3)
    if name != "inception_v3":
        assert parameters(graph) == published["num_params"]
