"""Networks of the `transformers` package give, with their weights in ours, what they give themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import architrave
from tests.parity import maps

torch = pytest.importorskip("torch")
pytest.importorskip("tests.reparam.torchvision_ops")
transformers = pytest.importorskip("transformers")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

Inputs = tuple[NDArray[Any], ...]
TOLERANCE = 1e-5
"""Of the output's scale."""


@dataclass(frozen=True)
class Family:
    """A network of theirs, the same one of ours, and how to feed both."""

    name: str
    theirs: Callable[[], Any]
    ours: str
    arguments: dict[str, Any]
    table: tuple[maps.Row, ...]
    inputs: Callable[[np.random.Generator], Inputs]
    run: Callable[..., tuple[Any, ...]]
    """Their network and inputs as tensors, to the outputs that ours has."""


def _images(rng: np.random.Generator) -> Inputs:
    return (rng.standard_normal((2, 3, 64, 64)).astype(np.float32),)


def _tokens(rng: np.random.Generator) -> Inputs:
    return (rng.integers(0, 31, (2, 11)),)


def _sentences(rng: np.random.Generator) -> Inputs:
    segments = np.repeat([[0] * 6 + [1] * 5], 2, axis=0)
    mask = np.arange(11) < np.array([[11], [7]])
    return (*_tokens(rng), segments, mask)


def _logits(network: Any, *inputs: Any) -> tuple[Any, ...]:
    return (network(*inputs).logits,)


def _bert_outputs(network: Any, tokens: Any, segments: Any, mask: Any) -> tuple[Any, ...]:
    result = network(tokens, token_type_ids=segments, attention_mask=mask)
    return result.last_hidden_state, result.pooler_output


def _resnet(layer_type: str) -> Callable[[], Any]:
    wide = 4 if layer_type == "bottleneck" else 1
    sizes = [8 * wide, 16 * wide, 32 * wide]
    return lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=sizes, depths=[1, 2, 1], layer_type=layer_type, num_labels=5
        )
    )


def _convnext() -> Any:
    return transformers.ConvNextForImageClassification(
        transformers.ConvNextConfig(
            hidden_sizes=[8, 16, 24], depths=[1, 2, 1], num_stages=3, num_labels=5, layer_norm_eps=1e-6
        )
    )


def _vit() -> Any:
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            image_size=64,
            patch_size=16,
            num_labels=5,
            layer_norm_eps=1e-6,
        )
    )


def _bert() -> Any:
    return transformers.BertModel(
        transformers.BertConfig(
            vocab_size=31,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=16,
        )
    )


def _texts(rng: np.random.Generator) -> Inputs:
    """What the encoder reads, what the decoder has written, and where the encoder has words."""
    mask = np.arange(11) < np.array([[11], [7]])
    return rng.integers(3, 31, (2, 11)), rng.integers(3, 31, (2, 6)), mask


def _bart_outputs(network: Any, tokens: Any, target: Any, mask: Any) -> tuple[Any, ...]:
    return (network(tokens, decoder_input_ids=target, attention_mask=mask).logits,)


def _bart() -> Any:
    return transformers.BartForConditionalGeneration(
        transformers.BartConfig(
            vocab_size=31,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=16,
        )
    )


def _gpt2() -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=31, n_embd=32, n_layer=2, n_head=4, n_positions=16, bos_token_id=0, eos_token_id=0
        )
    )


def _llama() -> Any:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=31,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=48,
            rms_norm_eps=1e-5,
        )
    )


RESNET = Family(
    "resnet-bottleneck",
    _resnet("bottleneck"),
    "resnet50",
    {"classes": 5, "width": 8, "depths": [1, 2, 1], "size": 64},
    maps.RESNET,
    _images,
    _logits,
)
FAMILIES = (
    RESNET,
    dataclasses.replace(RESNET, name="resnet-basic", theirs=_resnet("basic"), ours="resnet18"),
    Family(
        "convnext",
        _convnext,
        "convnext_t",
        {"classes": 5, "widths": [8, 16, 24], "depths": [1, 2, 1], "size": 64},
        maps.CONVNEXT,
        _images,
        _logits,
    ),
    Family(
        "vit",
        _vit,
        "vit_b_16",
        {"classes": 5, "width": 32, "depth": 2, "heads": 4, "hidden": 48, "size": 64},
        maps.VIT,
        _images,
        _logits,
    ),
    Family(
        "bert",
        _bert,
        "bert_base",
        {"vocab": 31, "width": 32, "depth": 2, "heads": 4, "hidden": 48, "context": 16},
        maps.BERT,
        _sentences,
        _bert_outputs,
    ),
    Family(
        "bart",
        _bart,
        "bart_base",
        {"vocab": 31, "width": 32, "depth": 2, "heads": 4, "hidden": 48, "context": 16},
        maps.BART,
        _texts,
        _bart_outputs,
    ),
    Family(
        "gpt2",
        _gpt2,
        "gpt2_small",
        {"vocab": 31, "width": 32, "depth": 2, "heads": 4, "context": 16},
        maps.GPT2,
        _tokens,
        _logits,
    ),
    Family(
        "llama",
        _llama,
        "llama",
        {"vocab": 31, "width": 32, "depth": 2, "heads": 4, "kv_heads": 2, "hidden": 48},
        maps.LLAMA,
        _tokens,
        _logits,
    ),
)


def _randomize(network: Any) -> None:
    """Every weight and statistic drawn anew: what starts as zero or one would hide a mistake."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(noise.abs() + 0.5)
            elif value.ndim == 1:
                value.copy_(1 + 0.2 * noise)
            else:
                value.copy_(noise * max(value[0].numel(), 1) ** -0.5)


def _saved(network: Any, folder: Path) -> dict[str, NDArray[Any]]:
    """The network's weights as a published checkpoint holds them."""
    network.save_pretrained(folder)
    return dict(safetensors_numpy.load_file(folder / "model.safetensors"))


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_outputs_agree(family: Family, backend: str, tmp_path: Path) -> None:
    theirs = family.theirs().eval()
    _randomize(theirs)
    weights = maps.translate(_saved(theirs, tmp_path), family.table)
    inputs = family.inputs(np.random.default_rng(1))
    with torch.no_grad():
        wanted = [value.numpy() for value in family.run(theirs, *map(torch.from_numpy, inputs))]

    program = architrave.compile(architrave.load(family.ours, **family.arguments), backend=backend)
    outputs = program(weights, *inputs)
    got = outputs if isinstance(outputs, tuple | list) else (outputs,)

    assert len(got) == len(wanted)
    for ours, expected in zip(got, wanted, strict=True):
        scale = np.abs(expected).max()
        assert np.abs(np.asarray(ours) - expected).max() <= TOLERANCE * scale


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_key_that_no_row_knows_is_an_error(family: Family) -> None:
    with pytest.raises(KeyError, match="unheard"):
        maps.translate({"unheard.of": np.zeros(1)}, family.table)
