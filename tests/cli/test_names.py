"""What names mean, on the command line and in Python, and the values of static arguments."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave import stdlib
from architrave.cli.selection import literal
from architrave.dsl.modules import load_standard
from architrave.ir.source import ArchitraveError
from architrave.models import find, load, loads


@pytest.mark.parametrize(
    ("name", "module", "models"),
    [
        ("resnet50", "std.resnet", ("ResNet50",)),
        ("ResNet-50", "std.resnet", ("ResNet50",)),
        ("vit_b_16", "std.vit", ("ViTB16",)),
        ("ViT-B/16", "std.vit", ("ViTB16",)),
        ("std.resnet:ResNet18", "std.resnet", ("ResNet18",)),
        ("std.dlrm", "std.dlrm", ("DLRM",)),
        ("net.arch", "net.arch", ("Net",)),
        ("net.arch:Net", "net.arch", ("Net",)),
        ("two.arch", "two.arch", ("A", "B")),
        ("./two.arch:B", "./two.arch", ("B",)),
    ],
)
def test_name(folder: Path, name: str, module: str, models: tuple[str, ...]) -> None:
    found = find(name)
    assert (found.module.name, found.models) == (module, models)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("", "E610", "architrave list"),
        ("bert", "E610", "`BERTBase`"),
        ("net", "E610", "did you mean the file `net.arch`?"),
        ("net.onnx", "E610", "`architrave list`"),
        ("notes.txt", "E610", "a model's file ends in `.arch`"),
        ("std.nomr", "E601", "did you mean `std.norm`?"),
        ("std.norm", "E611", "declares no model"),
        ("std.resnet", "E611", "`std.resnet:ResNet18`"),
        ("std.resnet:ResNet5", "E610", "did you mean"),
        ("net.arch:net", "E610", "did you mean `Net`?"),
        ("\x1b[31mred", "E610", "there is no model"),
    ],
)
def test_names_that_mean_nothing(folder: Path, name: str, code: str, said: str) -> None:
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(ArchitraveError) as caught:
        load(name)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)


LITERALS: list[tuple[str, Any]] = [
    ("3", 3),
    ("-3", -3),
    ("1_000", 1000),
    ("0.5", 0.5),
    ("-1e-3", -0.001),
    ("true", True),
    ("none", None),
    ('"half"', "half"),
    ("[1, 2]", [1, 2]),
    ("[[3, 64], [4, 128]]", [[3, 64], [4, 128]]),
    ("(1, 2)", (1, 2)),
    ("[]", []),
]


@pytest.mark.parametrize(("text", "value"), LITERALS, ids=[text for text, _ in LITERALS])
def test_literal(text: str, value: Any) -> None:
    assert literal(text) == value
    assert type(literal(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "half",
        "1 + 1",
        "f(1)",
        "3\nconst other = 4",
        "[1, x]",
        "[1",
        '"open',
        "not true",
        "--3",
        "__import__('os')",
        "\x00",
        "[" * 100_000,
        "-" * 100_000 + "1",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_literal(text: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        literal(text)
    assert caught.value.diagnostics[0].code == "E701"


def test_load_takes_values_of_python(folder: Path) -> None:
    assert load("net.arch", classes=np.int64(5)).outputs[0].shape[1] == 5
    assert load(folder / "net.arch") == load("net.arch")
    graph = load("resnet18", depths=(1, 1, 1, 1), width=8, size=32)
    assert graph == load("resnet18", depths=[1, 1, 1, 1], width=8, size=32)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [object(), {"a": 1}, np.zeros(2), 1j, nested(100_000)], ids=lambda v: type(v).__name__
)
def test_values_that_the_language_lacks(folder: Path, value: Any) -> None:
    with pytest.raises(ArchitraveError) as caught:
        load("net.arch", classes=value)
    assert caught.value.diagnostics[0].code == "E612"


def test_loads_reads_text(folder: Path) -> None:
    text = (folder / "two.arch").read_text(encoding="utf-8")
    assert loads(text, "B", width=5) == load("two.arch:B", width=5)
    assert loads(text, "B", decisions={"act": "gelu"}) != loads(text, "B")
    with pytest.raises(ArchitraveError, match="declares 2 models"):
        loads(text)


def test_index_of_the_library_is_what_its_files_declare() -> None:
    declared = {name: load_standard(m).name for m in stdlib.modules() for name in load_standard(m).models}
    assert dict(stdlib.models()) == declared


@pytest.mark.parametrize("module", stdlib.modules())
def test_entries_of_the_library(module: str) -> None:
    assert stdlib.doc(module)
    for entry in stdlib.entries(module):
        assert entry.signature.startswith("(")
        assert "\n" not in entry.signature + entry.summary
        assert entry.kind != "model" or (entry.doc and entry.papers), entry


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One thing.", "One thing"),
        ("Of `a`. Then more.", "Of `a`"),
        ("Scores of `tags` tags (45 in it) at\nevery word. More.", "Scores of `tags` tags (45 in it) at every word"),
        ("All of version 1.5 here.\n\nMore.", "All of version 1.5 here"),
        ("", ""),
    ],
)
def test_first_sentence(text: str, sentence: str) -> None:
    assert stdlib.first_sentence(text) == sentence


def test_papers() -> None:
    text = 'He, "Deep\nResidual" (2015), and again "Deep Residual" (2015). Not "this", but "That" (2016).'
    assert [str(p) for p in stdlib.papers(text)] == ["Deep Residual (2015)", "That (2016)"]
