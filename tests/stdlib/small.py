"""A small configuration of every standard network, for tests that run or transform them all."""

from __future__ import annotations

from typing import Any

GHOSTS = [[(3, 32, 16, 0, 1)], [(5, 48, 24, 0.25, 2)]]
NARROW = [(3, 16, 16, False, False, 1), (5, 72, 24, True, True, 2)]
REGNETS = ("RegNetY400MF", "RegNetY1600MF", "RegNetY16GF")

SMALL: dict[str, dict[str, Any]] = {
    **{f"AutoFormer{x}": {"classes": 5, "unit": 1, "head": 2, "depth": 1, "patch": 8, "size": 16} for x in "TSB"},
    "BARTBase": {"vocab": 31, "width": 8, "depth": 1, "heads": 2, "hidden": 12, "context": 12},
    "BERTBase": {"vocab": 31, "width": 16, "depth": 2, "heads": 4, "hidden": 24, "context": 12},
    "BiPFTBase": {"vocab": 31, "width": 8, "depth": 1, "heads": 2, "hidden": 12, "context": 12},
    "BigNAS": {"classes": 5, "unit": 1, "stages": 2, "size": 16},
    "Brainformer": {"vocab": 11, "width": 8, "slots": 3, "experts": 2, "tokens": 6},
    "ConvNeXtT": {"classes": 5, "depths": [1, 2], "widths": [8, 12], "size": 32},
    "DARTSSpace": {"classes": 5, "width": 2, "depth": 1, "size": 8},
    "DARTSV2": {"classes": 5, "width": 2, "depth": 3, "size": 16},
    "DLRM": {"tables": [5, 7, 3], "dense": 4, "width": 6, "bottom": [8], "top": [10, 8]},
    "DeiTTi16": {"classes": 5, "width": 6, "depth": 2, "heads": 3, "hidden": 8, "patch": 8, "size": 16},
    "DenseNet121": {"classes": 5, "width": 8, "growth": 4, "depths": [2, 2], "size": 32},
    "DenseNet169": {"classes": 5, "width": 8, "growth": 4, "depths": [1, 2, 1], "size": 64},
    "EDSR": {"width": 4, "depth": 2, "factors": [2]},
    **{f"EfficientNetB{i}": {"classes": 5, "width": 0.25, "depth": 0.1, "size": 64} for i in range(8)},
    "EfficientNetScaling": {"classes": 5, "scale": 0.1, "size": 32},
    "FastViTT8": {"classes": 5, "depths": [1, 1], "widths": [8, 16], "size": 32},
    "GPT2Small": {"vocab": 31, "width": 16, "depth": 2, "heads": 4, "context": 12},
    "GhostNet": {"classes": 5, "width": 0.25, "stages": GHOSTS, "last": 12, "size": 32},
    "HyTra": {"classes": 5, "width": 16, "depth": 4, "head": 4, "size": 32},
    "InceptionV3": {"classes": 5, "width": 0.0625, "pooled": [], "hidden": [], "last": 0, "size": 75},
    "LSTMTagger": {"vocab": 31, "width": 6, "hidden": 5, "depth": 2, "tags": 4},
    "Llama": {"vocab": 31, "width": 16, "depth": 2, "heads": 4, "kv_heads": 2, "hidden": 24},
    "MLPMixerB16": {"classes": 5, "width": 12, "depth": 1, "tokens": 6, "hidden": 16, "patch": 8, "size": 16},
    "MLPMixerS16": {"classes": 5, "width": 8, "depth": 2, "tokens": 6, "hidden": 16, "patch": 8, "size": 16},
    "MobileOneS0": {"classes": 5, "depths": [1, 2], "widths": [8, 12], "branches": 2, "size": 32},
    "MobileNetV1": {"classes": 5, "width": 0.25, "stages": [(64, 1, 1), (128, 2, 2)], "size": 32},
    "MobileNetV2": {"classes": 5, "width": 0.25, "stages": [(1, 16, 1, 1), (6, 24, 2, 2)], "size": 32},
    **{
        f"MobileNetV3{size}": {"classes": 5, "width": 0.25, "layers": NARROW, "last": 32, "size": 32}
        for size in ("Large", "Small")
    },
    "NASBench101": {"classes": 5, "vertices": 4, "width": 4, "depth": 1, "size": 8},
    "NASBench201": {"classes": 5, "width": 4, "depth": 1, "size": 8},
    "NASNetALarge": {"classes": 5, "depth": 0, "stem": 4, "width": 8, "drop_path": 0.0, "size": 33},
    "NASNetAMobile": {"classes": 5, "depth": 1, "stem": 4, "width": 4, "size": 33},
    "NASNetSpace": {"classes": 5, "blocks": 1, "depth": 1, "stem": 4, "width": 8, "size": 33},
    "NFNetF0": {"classes": 5, "depths": [1, 2], "widths": [16, 24], "stem": 16, "group_width": 4, "size": 32},
    "NFResNet50": {"classes": 5, "depths": [1, 2], "widths": [16, 24], "stem": 8, "size": 32},
    "NanoFlow": {"steps": 2, "channels": 4, "layers": 2, "mels": 3, "height": 4},
    "NeRF": {"width": 6, "depth": 3, "skip": 1},
    "OFAMobileNetV3": {"classes": 5, "width": 0.1, "stages": [(24, 2, True, True)], "size": 16},
    "PHResNet18": {"classes": 5, "n": 2, "width": 4, "depths": [1, 1], "size": 16},
    "PoolingSpace": {"classes": 5, "width": 2, "size": 16},
    "ProxylessNAS": {"classes": 5, "width": 0.1, "stages": [(24, 2, 2)], "size": 16},
    **{name: {"classes": 5, "depths": [1, 2], "widths": [8, 16], "group_width": 4, "size": 32} for name in REGNETS},
    "RepVGGA0": {"classes": 5, "depths": [1, 2], "widths": [8, 12], "size": 32},
    "RepViTM09": {"classes": 5, "depths": [1, 2], "widths": [8, 12], "size": 32},
    "ResNet18": {"classes": 5, "width": 4, "depths": [1, 2], "size": 32},
    "ResNet34": {"classes": 5, "width": 4, "depths": [2, 1], "size": 32},
    "ResNet50": {"classes": 5, "width": 4, "depths": [1, 2], "size": 32},
    "ResNet101": {"classes": 5, "width": 4, "depths": [1, 1, 2], "size": 32},
    "ResNet152": {"classes": 5, "width": 4, "depths": [2, 2], "size": 32},
    "ResNeXt50": {"classes": 5, "width": 4, "depths": [1, 2], "groups": 2, "group_width": 2, "size": 32},
    "ShuffleNetV2X0_5": {"classes": 5, "depths": [2, 1], "widths": [8, 12], "stem": 4, "last": 8, "size": 32},
    "ShuffleNetV2X1_0": {"classes": 5, "depths": [1, 2], "widths": [8, 12], "stem": 6, "last": 8, "size": 32},
    "SortedNet": {"classes": 5, "unit": 1, "blocks": 1, "size": 8},
    "SwinT": {"classes": 5, "width": 8, "depths": [2, 1], "heads": [2, 4], "window": 3, "size": 28},
    "TernaryBARTBase": {"vocab": 31, "width": 8, "depth": 1, "heads": 2, "hidden": 12, "context": 12},
    "UNet": {"width": 4, "depth": 2, "size": 60},
    "UniRepLKNetS": {"classes": 5, "depths": [1, 4], "width": 8, "large_every": [0, 3], "size": 32},
    "UniRepLKNetT": {"classes": 5, "depths": [1, 2], "width": 8, "large_every": [0, 2], "size": 32},
    "VGG16": {"classes": 5, "width": 4, "depths": [1, 2], "hidden": 8, "size": 16},
    "ViTB16": {"classes": 5, "width": 16, "depth": 1, "heads": 4, "hidden": 24, "patch": 8, "size": 16},
    "ViTS16": {"classes": 5, "width": 12, "depth": 2, "heads": 2, "hidden": 16, "patch": 8, "size": 16},
    "ViTTi16": {"classes": 5, "width": 6, "depth": 2, "heads": 3, "hidden": 8, "patch": 8, "size": 16},
    "WaveFlow": {"steps": 2, "channels": 4, "layers": 2, "mels": 3, "height": 4},
}
