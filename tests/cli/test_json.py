"""Every report as one JSON object, with the fields that docs/command-line.md promises."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
ROWS = {
    name: re.sub(r"\([^)]*\)", "", fields)  # what is in parentheses are the fields of inner objects
    for name, fields in re.findall(r"^\| `([\w -]+)` \| (.*`.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
}

SUPERNET = "--data points.npz --kind slices --batch 8 --epochs 1 --backend numpy"
REPORTS = {
    "check": "check net.arch",
    "compile": "compile net.arch --backend numpy",
    "verify": "verify net.arch --backend numpy --dtype f32",
    "show": "show net.arch --at N=1",
    "show --ir": "show net.arch --ir",
    "show --params": "show net.arch --params",
    "show --choices": "show two.arch:B --choices",
    "show --picture": "show two.arch:B --choices --picture two.svg",
    "passes": "passes",
    "apply": "apply letters.arch --passes deploy --output new.arch --weights letters.safetensors",
    "equal": "equal net.arch --passes deploy --seeds 1",
    "fmt": "fmt net.arch",
    "list": "list linear",
    "ops": "ops softmax",
    "ops --matrix": "ops --matrix logical_not",
    "train": "train net.arch --data points.npz --batch 8 --epochs 1 --backend numpy",
    "sample": "sample letters.arch letters.safetensors --length 5 --backend numpy",
    "quantize": (
        "quantize net.arch --weights net.safetensors --calibrate points.npz --integer -o few.arch --report few.html"
    ),
    "activations": "activations net.arch --weights net.safetensors --data points.npz --zero 0.5 -b numpy -o few.arch",
    "sparsify": "sparsify net.arch --weights net.safetensors --density 0.5 -b numpy --output few.arch",
    "factorize": "factorize net.arch --weights net.safetensors --keep 0.9 -o small.arch --report small.html",
    "prune": "prune net.arch --weights net.safetensors --keep 0.6 -b numpy -o small.arch --report small.html",
    "search": "search two.arch:B --objective params --objective macs --strategy grid -b numpy -o best.arch",
    "supernet train": f"supernet train few.arch {SUPERNET} -o s.safetensors",
    "supernet cut": "supernet cut few.arch s.safetensors --data points.npz -b numpy -o best.arch",
    "weights init": "weights init net.arch --output net.safetensors",
    "weights inspect": "weights inspect net.safetensors net.arch",
}


@pytest.mark.parametrize("name", REPORTS)
def test_report_has_the_documented_fields(cli: Cli, name: str) -> None:
    if name in ("weights inspect", "quantize", "sparsify", "activations", "factorize", "prune"):
        cli(*REPORTS["weights init"].split())
    if name == "supernet cut":
        cli(*REPORTS["supernet train"].split())
    outcome = cli(*REPORTS[name].split(), "--json")
    found = outcome.json()
    assert (outcome.code, outcome.err, found["ok"]) == (0, "", True)
    assert found["command"] == name.partition(" --")[0]
    promised = set(re.findall(r"`([a-z_]+)`", ROWS[name].partition(": for each")[0])) - {"source"}
    assert set(found) == {"command", "ok", *promised}


def test_all_reports_are_documented() -> None:
    assert set(REPORTS) == set(ROWS)


@pytest.mark.parametrize(
    ("line", "command", "code"),
    [
        ("show missing.arch --json", "show", "E606"),
        ("show net.arch --json --sett a=1", "show", "E700"),
        ("show net.arch --set a=? --json", "show", "E701"),
        ("weights inspect net.arch --json", "weights inspect", "E501"),
        ("ops nothing --json", "ops", "E210"),
    ],
)
def test_errors_are_reported_as_asked(cli: Cli, line: str, command: str, code: str) -> None:
    outcome = cli(*line.split())
    found = outcome.json()
    assert (outcome.code, outcome.err, found["ok"]) == (2, "", False)
    assert found["command"].startswith(command)
    assert [e["code"] for e in found["errors"]] == [code]


def test_places_of_errors(cli: Cli, folder: Path) -> None:
    (folder / "bad.arch").write_text("model M()(x: [N, 4]) -> [N, 5] = x + y\n", encoding="utf-8")
    outcome = cli("check", "bad.arch", "--json")
    (problem,) = outcome.json()["checked"][0]["errors"]
    assert outcome.code == 2
    assert (problem["code"], problem["file"], problem["line"], problem["column"]) == ("E201", "bad.arch", 1, 38)


def test_failures_are_in_the_report(cli: Cli) -> None:
    outcome = cli("check", "two.arch", "--json")
    found = outcome.json()
    assert (outcome.code, found["ok"]) == (1, False)
    failed = [e for e in found["checked"][0]["expectations"] if not e["holds"]]
    assert failed == [
        {"text": "expect A: params == 11", "holds": False, "values": {"params": "10"}, "file": "two.arch", "line": 10}
    ]
