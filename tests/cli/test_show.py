"""The tree of instances: what it shows, and that what it shows adds up."""

from collections.abc import Callable
from pathlib import Path

import pytest

from architrave.draw.instances import instances
from architrave.models import load, loads
from tests.cli.conftest import Cli

NETWORKS = {
    "resnet50": {},
    "lstmtagger": {"depth": 4},
    "gpt2small": {"depth": 3, "width": 48, "heads": 4, "vocab": 20},
    "unet": {"size": 188},
    "mobilenetv2": {},
}


@pytest.mark.parametrize("name", ["resnet50", "lstmtagger"])
def test_tree(cli: Cli, golden: Callable[[str, str], None], name: str) -> None:
    arguments = [f"--set={k}={v}" for k, v in NETWORKS[name].items()]
    golden(f"{name}.txt", cli("show", name, "--at", "N=1", *arguments).out)


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_add_up(name: str) -> None:
    graph = load(name, **NETWORKS[name])
    root = instances(graph, dict.fromkeys(graph.symbols, 64))
    for instance in root.walk():
        parts = instance.children.values()
        assert sum(p.parameters for p in parts) <= instance.parameters
        assert sum(p.multiply_adds for p in parts) <= instance.multiply_adds
    leaves = [i for i in root.walk() if not i.children]
    assert all(i.outputs for i in leaves)


def test_equal_layers_share_a_row_unless_asked(cli: Cli, folder: Path) -> None:
    (folder / "deep.arch").write_text(
        "from std.linear import linear\n"
        "model Deep(depth: int = 1000)(x: [N, 4]) -> [N, 4] {\n"
        "    for i in 0..depth {\n        x = x -> layer[i]: linear(4)\n    }\n    return x\n}\n",
        encoding="utf-8",
    )
    assert "0-999 1000 x linear" in " ".join(cli("show", "deep.arch").out.split())
    assert len(cli("show", "deep.arch").out.splitlines()) < 10
    assert len(cli("show", "deep.arch", "--all").out.splitlines()) > 1000
    assert len(cli("show", "deep.arch", "--all", "--depth", "1").out.splitlines()) < 10


def test_one_instance_applied_twice_has_one_row() -> None:
    graph = loads(
        "from std.linear import linear\nmodel M()(x: [N, 4]) -> [N, 4] {\n    f = linear(4)\n    return f(f(x))\n}\n"
    )
    (instance,) = instances(graph, {"N": 1}).children.values()
    assert (instance.path, instance.block, instance.parameters, instance.multiply_adds) == ("f", "linear", 20, 32)


def test_a_tree_knows_nothing_of_other_networks() -> None:
    # Equal instances share graphs, wherever they stand.
    for name in ("densenet121", "resnet18"):
        root = instances(load(name))
    assert list(root.children) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert {i.block for i in root.walk()} == {"ResNet18", "conv2d", "batch_norm", "BasicBlock", "linear", ""}


def test_one_mode_of_the_graph(cli: Cli) -> None:
    both, training, inference = (
        cli("show", "resnet18", "--ir", *flags).out for flags in ([], ["--train"], ["--inference"])
    )
    assert "if training" in both
    assert "if training" not in training + inference
    assert ":=" in training
    assert ":=" not in inference


def test_a_picture_is_of_what_was_asked_for(cli: Cli, folder: Path) -> None:
    pytest.importorskip("graphlay", reason="graphlay is not installed")
    outcome = cli("show", "two.arch:B", "--picture", "b.svg", "--set=width=6", "--at=N=5", "--decide=act=gelu")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "wrote b.svg\n")
    drawn = (folder / "b.svg").read_text(encoding="utf-8")
    assert all(f">{text}</text>" in drawn for text in ("head", "linear", "gelu", "[5, T, 6]"))
    assert "relu" not in drawn
    assert cli("show", "two.arch:B", "--picture", "b.svg", "--choices").code == 0
    assert ">relu</text>" in (folder / "b.svg").read_text(encoding="utf-8")
    assert cli("show", "two.arch:B", "--picture", "b.svg", "--depth", "0").code == 0
    assert ">head</text>" not in (folder / "b.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--picture", "net.arch"], "must end in `.svg`"),
        (["--picture", "a.svg", "--ir"], "give one of them"),
        (["--picture", "none/a.svg"], "E520"),
    ],
)
def test_no_picture(cli: Cli, folder: Path, options: list[str], said: str) -> None:
    pytest.importorskip("graphlay", reason="graphlay is not installed")
    outcome = cli("show", "net.arch", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert not list(folder.glob("*.svg"))
