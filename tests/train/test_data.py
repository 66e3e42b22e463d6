"""Where examples come from, and what is said of those that are broken."""

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave import ArchitraveError, Graph, loads
from architrave.train import Dataset, Loop, Objective, Recipe, Schedule, Stream, Trainer, open_data, optimizer, run
from architrave.train.data import check_labels, entropy

POINTS = "model Net()(x: [N, 4]) -> [N, 3] {\n    param w: [4, 3] = normal(0.1)\n    return x @ w\n}"
PAIRS = "model Net()(left: [N, 4], right: [N, 4]) -> [N, 4] = left * right"
GREY = "model Net()(image: [N, 1, 4, 6]) -> [N, 1] = mean(image, axis = [2, 3])"
COLOUR = "model Net()(image: [N, 3, 4, 6]) -> [N, 3] = mean(image, axis = [2, 3])"
TEXT = "model Net()(text: i64[N, 5]) -> [N, 5, 4] = one_hot(text, 4)"
DIGITS = "model Net()(image: [N, 64]) -> [N, 10] = image[:, 0:10]"


def network(text: str) -> Graph:
    return loads(text)


def points(count: int = 20) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(count, 4)).astype("f4"), "labels": rng.integers(0, 3, count)}


def opened(path: object, text: str, held_out: float = 0.2) -> tuple[Dataset, Dataset | None]:
    return open_data(str(path), network(text), held_out)


def failure(path: object, text: str, held_out: float = 0.2) -> tuple[str, str]:
    with pytest.raises(ArchitraveError) as caught:
        opened(path, text, held_out)
    (problem,) = caught.value.diagnostics
    return problem.code, problem.message


def test_an_archive_is_divided_the_same_way_each_time(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **points())
    train, test = opened(tmp_path / "a.npz", POINTS)
    again, _ = opened(tmp_path / "a.npz", POINTS)
    assert test is not None
    assert (len(train), len(test)) == (16, 4)
    assert np.array_equal(train.inputs[0], again.inputs[0])
    assert train.target is not None
    assert train.target.dtype == np.int64
    assert opened(tmp_path / "a.npz", POINTS, 0.0)[1] is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_archive_may_be_compressed_of_any_order_and_of_other_bytes(tmp_path: Path, order: Any) -> None:
    arrays = points()
    x = np.asarray(arrays["x"], ">f8", order=order)
    np.savez_compressed(tmp_path / "a.npz", x=x, labels=arrays["labels"])
    train, _ = opened(tmp_path / "a.npz", POINTS, 0.0)
    assert np.array_equal(train.inputs[0], x)
    assert train.inputs[0].dtype.isnative


def test_an_archive_may_say_what_is_for_testing(tmp_path: Path) -> None:
    parts = {"train": points(12), "test": points(5)}
    np.savez(tmp_path / "a.npz", **{f"{name}_{part}": a for part, held in parts.items() for name, a in held.items()})
    train, test = opened(tmp_path / "a.npz", POINTS)
    assert test is not None
    assert (len(train), len(test)) == (12, 5)


def test_arrays_are_found_by_the_names_of_inputs(tmp_path: Path) -> None:
    left, right = np.zeros((3, 4)), np.ones((3, 4))
    np.savez(tmp_path / "a.npz", right=right, left=left)
    train, _ = opened(tmp_path / "a.npz", PAIRS, 0.0)
    assert train.target is None
    assert [float(x[0, 0]) for x in train.inputs] == [0.0, 1.0]


def zipped(content: bytes, name: str = "x.npy") -> bytes:
    """An archive with one entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, content)
    return out.getvalue()


def stored(array: Any, **options: Any) -> bytes:
    """An array as a `.npy` file."""
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def claiming(shape: str) -> bytes:
    """A `.npy` file whose header claims a shape, and that has no numbers."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


SOUND = stored(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged, or no archive"),
        (b"not an archive at all", "damaged, or no archive"),
        (zipped(SOUND)[:-30], "damaged, or no archive"),
        (zipped(SOUND).replace(b"\0" * 60, b"\1" * 60), "`x.npy` in a.npz is damaged"),
        (zipped(b"no array"), "`x.npy` in a.npz is damaged, or no array"),
        (zipped(SOUND[:-8]), "should have 96 bytes, but has 88"),
        (zipped(SOUND + b"more"), "should have 96 bytes, but has 100"),
        (zipped(claiming("(1 << 40,)")), "damaged, or no array"),
        (zipped(claiming(f"({1 << 60}, {1 << 60})")), "claims"),
        (zipped(claiming("(-1, 4)")), "a.npz"),
        (zipped(stored(np.array([{}, None]), allow_pickle=True)), "Python objects, which are not read"),
        (zipped(stored(np.array(["a", "b"]))), "no array of numbers"),
        (zipped(stored(np.array(3.0))), "no array of numbers with an axis of examples"),
        (zipped(b"\x93NUMPY\x09\x00" + SOUND[8:]), "version 9.0"),
    ],
)
def test_broken_archives_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.npz").write_bytes(content)
    code, message = failure("a.npz", POINTS)
    assert code == "E561"
    assert said in message
    assert "a.npz" in message


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"labels": np.zeros(19, "i8")}, "E562", "20, 19 examples"),
        ({"x": np.zeros((0, 4)), "labels": np.zeros(0, "i8")}, "E562", "no examples"),
        ({"y": np.zeros(20), "z": np.zeros(20)}, "E562", "takes x"),
        ({"x": np.full((20, 4), np.nan)}, "E566", "NaN or infinity: 80 in all, the first in example 0"),
        (
            {"labels": np.array([0.0] * 19 + [np.inf])},
            "E566",
            "`labels` in a.npz holds NaN or infinity: 1 in all, the first in example 19",
        ),
        ({"x": np.zeros((20, 5))}, "E548", "an example of a.npz is [5]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = points() | change
    if "z" in change:
        del arrays["x"]
    np.savez("a.npz", **arrays)
    found, message = failure("a.npz", POINTS)
    assert (found, said in message) == (code, True), message


@pytest.mark.parametrize(
    ("name", "code"), [("nothing", "E560"), ("a.csv", "E560"), ("a.npz", "E561"), ("a.txt", "E567")]
)
def test_missing_data_are_named(tmp_path: Path, name: str, code: str) -> None:
    found, message = failure(tmp_path / name, TEXT if name.endswith("txt") else POINTS)
    assert found == code
    assert name in message


@pytest.mark.parametrize(("label", "example"), [(-1, 7), (3, 7), (99, 0)])
def test_labels_out_of_range_are_named(label: int, example: int) -> None:
    target = np.zeros(20, np.int64)
    target[example] = label
    with pytest.raises(ArchitraveError, match=rf"E564.*example {example} of a\.npz has the label {label}"):
        check_labels(Dataset((np.zeros((20, 4)),), target, "a.npz"), network(POINTS))


def folder_of_images(path: Path, classes: Sequence[str] = ("cat", "dog"), count: int = 3, mode: str = "RGB") -> Path:
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for k in range(count):
            image.new(mode, (9, 7), 255 * i).save(path / name / f"{k}.png")
    return path


@pytest.mark.parametrize(("text", "mode", "shape"), [(GREY, "RGB", (6, 1, 4, 6)), (COLOUR, "L", (6, 3, 4, 6))])
def test_images_are_brought_to_the_size_and_channels_of_the_network(
    tmp_path: Path, text: str, mode: str, shape: tuple[int, ...]
) -> None:
    folder = folder_of_images(tmp_path / "pets", mode=mode)
    (folder / "cat" / ".hidden").write_text("not an image", encoding="utf-8")
    found, test = opened(folder, text, 0.0)
    assert test is None
    assert found.inputs[0].shape == shape
    assert (found.inputs[0][0].min(), found.labels) == (-1, ("cat", "dog"))
    assert found.target is not None
    assert list(found.target) == [0, 0, 0, 1, 1, 1]


def test_a_folder_may_say_what_is_for_testing(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "pets" / "train")
    folder_of_images(tmp_path / "pets" / "val", ("dog",), count=1)
    train, test = opened(tmp_path / "pets", GREY)
    assert test is not None
    assert (len(train), len(test), test.labels) == (6, 1, ("cat", "dog"))
    assert test.target is not None
    assert list(test.target) == [1]


def _text(path: Path) -> None:
    path.write_text("not an image", encoding="utf-8")


def _cut(path: Path) -> None:
    path.write_bytes((path.parent / "0.png").read_bytes()[:50])


def _wide(path: Path) -> None:
    from PIL import Image

    Image.new("I;16", (4, 4)).save(path)


@pytest.mark.parametrize(("spoil", "said"), [(_text, ""), (_cut, ""), (_wide, "not of 8 bits")])
def test_files_that_are_no_images_are_named(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    folder = folder_of_images(tmp_path / "pets")
    spoil(folder / "dog" / "1.png")
    code, message = failure(folder, GREY)
    assert code == "E563"
    assert str(folder / "dog" / "1.png") in message
    assert said in message


def test_folders_without_images(tmp_path: Path) -> None:
    assert failure(tmp_path, GREY)[0] == "E565"
    (tmp_path / "cat").mkdir()
    assert failure(tmp_path, GREY)[0] == "E565"
    assert failure(tmp_path, POINTS)[0] == "E548"


def test_classes_for_testing_are_those_of_training(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "train", ("cat",))
    folder_of_images(tmp_path / "test", ("cow",))
    code, message = failure(tmp_path, GREY)
    assert (code, "`cow`" in message) == ("E565", True)


def test_a_text_is_windows_and_what_comes_after(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abcd" * 20, encoding="utf-8")
    train, test = opened(tmp_path / "a.txt", TEXT, 0.25)
    assert test is not None
    assert train.labels == ("a", "b", "c", "d")
    assert train.target is not None
    assert list(train.inputs[0][1]) == [1, 2, 3, 0, 1]
    assert list(train.target[1]) == [2, 3, 0, 1, 2]
    assert len(train) == 60 - 5
    assert entropy(train) == pytest.approx(np.log(4), rel=1e-4)


@pytest.mark.parametrize(("content", "said"), [(b"", "too short"), (b"abcab", "too short"), (b"\xff\xfe", "UTF-8")])
def test_texts_that_cannot_be_read_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    code, message = failure(tmp_path / "a.txt", TEXT, 0.0)
    assert (code, said in message, "a.txt" in message) == ("E567", True, True)


def test_the_digits_are_divided_in_one_way() -> None:
    pytest.importorskip("sklearn")
    train, test = opened("digits", DIGITS)
    assert test is not None
    assert (len(train), len(test)) == (1438, 359)
    assert train.inputs[0].shape[1:] == (64,)
    assert test.target is not None
    assert np.bincount(test.target).tolist() == np.bincount(test.target, minlength=10).tolist()


def trained(stream: Stream) -> list[float]:
    recipe, schedule = Recipe(optimizer("sgd"), Objective("cross_entropy")), Schedule(0.1, 100)
    graph = network(POINTS)
    trainer = Trainer(graph, recipe, schedule, stream.target_type(graph), backend="numpy")
    return [row["loss"] for row in run(trainer, stream, Loop(2, 5)).history]


def test_a_network_learns_from_any_iterable_of_batches() -> None:
    x, labels = points().values()
    batches = [(x[i : i + 5], labels[i : i + 5].tolist()) for i in range(0, 20, 5)]
    losses = trained(Stream(lambda epoch: batches, len(batches)))
    assert losses[1] < losses[0]
    with pytest.raises(ArchitraveError, match=r"E562.*4 batches in epoch 1, not 5"):
        trained(Stream(lambda epoch: iter(batches), 5))


def test_a_stream_goes_on_where_a_run_was_cut_off() -> None:
    stream = Stream(lambda epoch: ([np.array(i)] for i in range(10 * epoch, 10 * epoch + 4)), 4)
    assert [int(x) for (x,) in stream.epoch(1, 0, 2, start=1)] == [21, 22, 23]
