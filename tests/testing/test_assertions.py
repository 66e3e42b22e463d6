"""Assertions for other projects."""

from pathlib import Path

import pytest

import architrave
from architrave.testing import assert_same_function

NET = """from std import batch_norm, linear

model Net()(x: [N, 4]) -> [N, 4] = x -> fc: linear(4) -> bn: batch_norm -> relu
"""


def test_two_networks(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(NET, encoding="utf-8")
    net = architrave.loads(NET)
    assert assert_same_function(net, path).ok
    assert assert_same_function(str(path), passes="deploy", seeds=1).worst < 1e-10
    assert assert_same_function("resnet18", passes="inference", sizes={"N": 1}, seeds=1).ok
    other = architrave.loads(NET.replace("relu", "gelu"))
    with pytest.raises(AssertionError, match=r"DIFFERENT(.|\n)*they part in `Net`"):
        assert_same_function(net, other)
    with pytest.raises(AssertionError, match="only one of them updates"):
        assert_same_function(net, passes="inference", training=True)
    for b, passes in ((None, None), (net, "deploy")):
        with pytest.raises(ValueError, match="give a second network"):
            assert_same_function(net, b, passes=passes)
