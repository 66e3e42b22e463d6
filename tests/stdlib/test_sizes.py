"""The blocks of networks over images take images of any size: one compilation serves them all."""

from __future__ import annotations

import numpy as np
import pytest

import architrave

LAYERS = '[conv2d(4, 5, padding = "same"), conv2d(4, stride = 2), (x) => max_pool(x, 2), (x) => upsample(x, 2)]'
STAGES = {
    "std.resnet import Bottleneck, ResNet": "ResNet(Bottleneck, [1, 2], 4, 5)",
    "std.densenet import DenseNet": "DenseNet([2, 2], 4, 8, 5)",
    "std.efficientnet import EfficientNet": "EfficientNet(0.25, 0.1, 5, 0.2)",
    "std.convnext import ConvNeXt": "ConvNeXt([1, 2], [8, 12], 5, 0.1, 1e-6)",
    "std import conv2d, max_pool, upsample": f"sequential({LAYERS})",
    "std import batch_norm, group_norm, instance_norm": "sequential([batch_norm, group_norm(3), instance_norm])",
}


@pytest.mark.parametrize(("source", "stage"), STAGES.items(), ids=STAGES.values())
@pytest.mark.parametrize("training", [False, True])
def test_a_symbolic_size_changes_nothing(source: str, stage: str, training: bool) -> None:
    text = f"from {source}\nmodel M()(image: [N, 3, {{size}}]) = image -> net: {stage}\n"
    image = np.random.default_rng(0).standard_normal((2, 3, 37, 42))
    symbolic = architrave.loads(text.format(size="H, W"))
    weights = architrave.init(symbolic)

    known = architrave.interpret(architrave.loads(text.format(size="37, 42")), [image], weights, training)
    found = architrave.interpret(symbolic, [image], weights, training)

    assert set(symbolic.symbols) == {"N", "H", "W"}
    np.testing.assert_array_equal(found.outputs[0], known.outputs[0])
