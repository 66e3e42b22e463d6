"""How Hugging Face, and timm, name and lay out the weights that our standard networks hold.

One table per family. A row is a pattern that a whole key of theirs matches, our key for it (its parts in
braces: `{0}` is the first group, `{1*2+1}` twice the second plus one) and what is done to the array. A key that
matches no row is an error, so a table is also the list of everything that a checkpoint may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


def unchanged(array: Array) -> Array:
    return array


def transposed(array: Array) -> Array:
    return np.ascontiguousarray(array.T)


def per_channel(array: Array) -> Array:
    """`[C]` as `[C, 1, 1]`."""
    return array[:, None, None]


@dataclass(frozen=True)
class Row:
    """Keys of theirs that match `pattern` go to `key` of ours, or nowhere where `key` is None."""

    pattern: str
    key: str | None
    transform: Callable[[Array], Array] = unchanged

    def target(self, key: str) -> str | None:
        """Our key for theirs, which the pattern matches; None where it is dropped."""
        found = re.fullmatch(self.pattern, key)
        assert found is not None
        if self.key is None:
            return None
        return PART.sub(lambda part: _fill(found.groups(), part), self.key)


PART = re.compile(r"\{(?P<group>\d+)(?:\*(?P<times>\d+))?(?:\+(?P<plus>\d+))?\}")


def _fill(groups: tuple[str, ...], part: re.Match[str]) -> str:
    text = groups[int(part["group"])]
    if part["times"] is None and part["plus"] is None:
        return text
    return str(int(text) * int(part["times"] or 1) + int(part["plus"] or 0))


_BLOCK = r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)"
RESNET = (
    Row(r".*\.num_batches_tracked", None),
    Row(r"resnet\.embedder\.embedder\.convolution\.(.*)", "conv1.{0}"),
    Row(r"resnet\.embedder\.embedder\.normalization\.(.*)", "bn1.{0}"),
    Row(rf"{_BLOCK}\.shortcut\.convolution\.(.*)", "layer{0+1}.{1}.downsample.0.{2}"),
    Row(rf"{_BLOCK}\.shortcut\.normalization\.(.*)", "layer{0+1}.{1}.downsample.1.{2}"),
    Row(rf"{_BLOCK}\.layer\.(\d+)\.convolution\.(.*)", "layer{0+1}.{1}.conv{2+1}.{3}"),
    Row(rf"{_BLOCK}\.layer\.(\d+)\.normalization\.(.*)", "layer{0+1}.{1}.bn{2+1}.{3}"),
    Row(r"classifier\.1\.(.*)", "fc.{0}"),
)

_STAGE = r"convnext\.encoder\.stages\.(\d+)"
_UNIT = rf"{_STAGE}\.layers\.(\d+)"
CONVNEXT = (
    Row(r"convnext\.embeddings\.patch_embeddings\.(.*)", "features.0.0.{0}"),
    Row(r"convnext\.embeddings\.layernorm\.(.*)", "features.0.1.{0}"),
    Row(rf"{_STAGE}\.downsampling_layer\.(\d)\.(.*)", "features.{0*2}.{1}.{2}"),
    Row(rf"{_UNIT}\.layer_scale_parameter", "features.{0*2+1}.{1}.layer_scale", per_channel),
    Row(rf"{_UNIT}\.dwconv\.(.*)", "features.{0*2+1}.{1}.block.0.{2}"),
    Row(rf"{_UNIT}\.layernorm\.(.*)", "features.{0*2+1}.{1}.block.2.{2}"),
    Row(rf"{_UNIT}\.pwconv1\.(.*)", "features.{0*2+1}.{1}.block.3.{2}"),
    Row(rf"{_UNIT}\.pwconv2\.(.*)", "features.{0*2+1}.{1}.block.5.{2}"),
    Row(r"convnext\.layernorm\.(.*)", "classifier.0.{0}"),
    Row(r"classifier\.(.*)", "classifier.2.{0}"),
)

_LAYER = r"vit\.encoder\.layer\.(\d+)"
VIT = (
    Row(r"vit\.embeddings\.cls_token", "class_token"),
    Row(r"vit\.embeddings\.position_embeddings", "position"),
    Row(r"vit\.embeddings\.patch_embeddings\.projection\.(.*)", "patches.{0}"),
    Row(rf"{_LAYER}\.attention\.attention\.query\.(.*)", "layer.{0}.attention.q_proj.{1}"),
    Row(rf"{_LAYER}\.attention\.attention\.key\.(.*)", "layer.{0}.attention.k_proj.{1}"),
    Row(rf"{_LAYER}\.attention\.attention\.value\.(.*)", "layer.{0}.attention.v_proj.{1}"),
    Row(rf"{_LAYER}\.attention\.output\.dense\.(.*)", "layer.{0}.attention.out_proj.{1}"),
    Row(rf"{_LAYER}\.layernorm_before\.(.*)", "layer.{0}.norm1.{1}"),
    Row(rf"{_LAYER}\.layernorm_after\.(.*)", "layer.{0}.norm2.{1}"),
    Row(rf"{_LAYER}\.intermediate\.dense\.(.*)", "layer.{0}.mlp.fc1.{1}"),
    Row(rf"{_LAYER}\.output\.dense\.(.*)", "layer.{0}.mlp.fc2.{1}"),
    Row(r"vit\.layernorm\.(.*)", "norm.{0}"),
    Row(r"classifier\.(.*)", "head.{0}"),
)

BERT = (
    Row(r"embeddings\.word_embeddings\.weight", "words.weight"),
    Row(r"embeddings\.token_type_embeddings\.weight", "types.weight"),
    Row(r"embeddings\.position_embeddings\.weight", "position"),
    Row(r"embeddings\.LayerNorm\.(.*)", "norm.{0}"),
    Row(r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.(.*)", "layer.{0}.attention.{1}.{2}"),
    Row(r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(.*)", "layer.{0}.attention.out.{1}"),
    Row(r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.(.*)", "layer.{0}.norm1.{1}"),
    Row(r"encoder\.layer\.(\d+)\.intermediate\.dense\.(.*)", "layer.{0}.fc1.{1}"),
    Row(r"encoder\.layer\.(\d+)\.output\.dense\.(.*)", "layer.{0}.fc2.{1}"),
    Row(r"encoder\.layer\.(\d+)\.output\.LayerNorm\.(.*)", "layer.{0}.norm2.{1}"),
    Row(r"pooler\.dense\.(.*)", "pooler.{0}"),
)

BART = (
    Row(r"(model\.shared\.weight|final_logits_bias)", "{0}"),
    Row(r"(model\.(?:en|de)coder\.(?:embed_positions|layernorm_embedding|layers)\..*)", "{0}"),
    Row(r"lm_head\.weight|model\.(en|de)coder\.embed_tokens\.weight", None),
)

GPT2 = (
    Row(r"transformer\.wte\.weight", "embedding"),
    Row(r"transformer\.wpe\.weight", "position"),
    Row(r"transformer\.h\.(\d+)\.ln_(\d)\.(.*)", "layer.{0}.norm{1}.{2}"),
    Row(r"transformer\.h\.(\d+)\.attn\.c_attn\.(.*)", "layer.{0}.attention.qkv.{1}", transposed),
    Row(r"transformer\.h\.(\d+)\.attn\.c_proj\.(.*)", "layer.{0}.attention.out.{1}", transposed),
    Row(r"transformer\.h\.(\d+)\.mlp\.c_fc\.(.*)", "layer.{0}.fc1.{1}", transposed),
    Row(r"transformer\.h\.(\d+)\.mlp\.c_proj\.(.*)", "layer.{0}.fc2.{1}", transposed),
    Row(r"transformer\.ln_f\.(.*)", "norm.{0}"),
)

LLAMA = (
    Row(r"model\.(.*)", "{0}"),
    Row(r"(lm_head\.weight)", "{0}"),
)

SAME = (Row(r"(.*)\.num_batches_tracked", None), Row(r"(.*)", "{0}"))

MIXER = (
    Row(r"stem\.proj\.(.*)", "patches.{0}"),
    Row(r"blocks\.(\d+)\.(norm\d\..*)", "layer.{0}.{1}"),
    Row(r"blocks\.(\d+)\.mlp_tokens\.(.*)", "layer.{0}.token_mlp.{1}"),
    Row(r"blocks\.(\d+)\.mlp_channels\.(.*)", "layer.{0}.channel_mlp.{1}"),
    Row(r"((?:norm|head)\..*)", "{0}"),
)


def translate(weights: Mapping[str, Array], table: tuple[Row, ...]) -> dict[str, Array]:
    """Their weights under our names and in our layout. Raises KeyError for a key that no row knows."""
    ours: dict[str, Array] = {}
    for key, array in weights.items():
        row = next((row for row in table if re.fullmatch(row.pattern, key)), None)
        if row is None:
            raise KeyError(f"no row of the table knows {key!r}")
        target = row.target(key)
        if target is not None:
            ours[target] = row.transform(array)
    return ours
