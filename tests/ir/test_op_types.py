"""Types of results where sizes are symbols, where dtypes promote, and what errors say."""

from typing import Any

import pytest

from architrave.ir import build
from architrave.ir.bind import bind_op, bind_type
from architrave.ir.dims import symbol
from architrave.ir.graph import make
from architrave.ir.op import OPS
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.ir.types import DType, promote

N, H = symbol("N"), symbol("H")
SIZES = {"N": 3, "M": 2, "H": 9, "W": 8, "T": 5, "C": 4}
SAME = ((1, 1), (1, 1))

SYMBOLIC: list[tuple[str, list[str], dict[str, Any], str]] = [
    ("add", ["[N, 1, H]", "[M, 1]"], {}, "[N, M, H]"),
    ("where", ["bool[N, 1]", "[H]", "i64[]"], {}, "[N, H]"),
    ("sum", ["i32[N, 3, H]"], {"axes": (0, -1)}, "i64[3]"),
    ("mean", ["[N, C, H, W]"], {"axes": (2, 3)}, "[N, C]"),
    ("var", ["[N, C]"], {"axes": (0,), "correction": 1, "keep": True}, "[1, C]"),
    ("moments", ["[N, C, T]"], {"axes": (0, 2)}, "[C]"),
    ("argmax", ["[N, C]"], {"axis": 1}, "i64[N]"),
    ("topk", ["[N, T]"], {"k": 3}, "[N, 3]"),
    ("reshape", ["[N, C, H, W]"], {"shape": (N, -1)}, "[N, C*H*W]"),
    ("reshape", ["[N, 12, H]"], {"shape": (N, 3, -1, H)}, "[N, 3, 4, H]"),
    ("reshape", ["[N, H, W]"], {"shape": (-1,)}, "[N*H*W]"),
    ("flatten", ["[N, C, H]"], {}, "[N, C*H]"),
    ("transpose", ["[N, C, H]"], {"axes": (0, 2, 1)}, "[N, H, C]"),
    ("expand", ["[1, C]"], {"shape": (N, symbol("C"))}, "[N, C]"),
    ("concat", ["[N, T]", "[M, T]", "[1, T]"], {"axis": 0}, "[M + N + 1, T]"),
    ("stack", ["[N]", "[N]"], {"axis": 1}, "[N, 2]"),
    ("slice", ["[N, H]"], {"starts": (0, 1), "stops": (N, H), "steps": (1, 2)}, "[N, H//2]"),
    ("slice", ["[N]"], {"starts": (N - 1,), "stops": (-1,), "steps": (-1,)}, "[N]"),
    ("pad", ["[N, H]"], {"widths": ((0, 0), (1, N))}, "[N, H + N + 1]"),
    ("matmul", ["[N, T, 4]", "[4, M]"], {}, "[N, T, M]"),
    ("einsum", ["[N, H, T]", "[N, H, M]"], {"equation": "nht,nhm->ntm"}, "[N, T, M]"),
    ("linear", ["[N, T, 8]", "[2, 8]"], {}, "[N, T, 2]"),
    (
        "conv",
        ["[N, 4, H, W]", "[6, 2, 3, 3]"],
        {"stride": (2, 1), "padding": SAME, "groups": 2},
        "[N, 6, (H + 1)//2, W]",
    ),
    ("conv_transpose", ["[N, 4, H]", "[4, 3, 2]"], {"stride": (2,)}, "[N, 3, 2*H]"),
    ("max_pool", ["[N, C, H, W]"], {"kernel": (2, 2)}, "[N, C, H//2, W//2]"),
    ("resize", ["[N, C, H]"], {"size": (2 * H,)}, "[N, C, 2*H]"),
    ("gather", ["[N, C]", "i64[N, 3]"], {"axis": 1}, "[N, 3]"),
    ("take", ["[100, 8]", "i64[N, T]"], {"axis": 0}, "[N, T, 8]"),
    ("segment_mean", ["[N, C]", "i64[N]"], {"count": symbol("M")}, "[M, C]"),
    ("one_hot", ["i64[N]"], {"count": 7}, "[N, 7]"),
    ("layer_norm", ["[N, T, C]", "[C]", "[C]"], {}, "[N, T, C]"),
    ("group_norm", ["[N, C, H]"], {"groups": symbol("C")}, "[N, C, H]"),
    ("attention", ["[N, 2, T, C]", "[N, 2, M, C]", "[N, 2, M, 3]"], {"causal": True}, "[N, 2, T, 3]"),
    ("random_normal", ["u32[2]"], {"shape": (N, H), "path": "x"}, "[N, H]"),
]


@pytest.mark.parametrize(("name", "operands", "attributes", "expected"), SYMBOLIC)
def test_symbolic_sizes_go_through(name: str, operands: list[str], attributes: dict[str, Any], expected: str) -> None:
    op, types = OPS[name](**attributes), [parse_type(text) for text in operands]
    inputs = [build.input("x", type) for type in types]
    result = make(op, inputs).outputs[0].type
    assert result == parse_type(expected)
    # The rule commutes with giving the symbols their sizes.
    bound = make(bind_op(op, SIZES), [build.input("x", bind_type(t, SIZES)) for t in types])
    assert bound.outputs[0].type == bind_type(result, SIZES)
    if op.is_composite():
        expanded = op.expand(*inputs)
        assert (expanded[0] if isinstance(expanded, tuple) else expanded).type == result


def test_a_mean_over_a_symbolic_axis_divides_by_its_size() -> None:
    x = build.input("x", "[N, 3]")
    divisor = OPS["mean"](axes=(0, 1)).expand(x).node.operands[1]
    assert divisor.op == OPS["full"](value=3 * N, shape=(), dtype=DType.FLOAT)


@pytest.mark.parametrize(
    ("name", "operands", "attributes", "expected"),
    [
        ("add", ["u8[2]", "i8[2]"], {}, "i16[2]"),
        ("add", ["i32[2]", "u32[2]"], {}, "i64[2]"),
        ("add", ["bf16[2]", "f16[2]"], {}, "f32[2]"),
        ("multiply", ["[2]", "f32[2]"], {}, "[2]"),
        ("multiply", ["[2]", "f64[2]"], {}, "f64[2]"),
        ("add", ["bool[2]", "i8[2]"], {}, "i8[2]"),
        ("divide", ["i32[2]", "i32[2]"], {}, "[2]"),
        ("exp", ["i32[2]"], {}, "[2]"),
        ("exp", ["bf16[2]"], {}, "bf16[2]"),
        ("relu", ["i8[2]"], {}, "i8[2]"),
        ("clip", ["i8[2]"], {"lo": 0, "hi": 5}, "i8[2]"),
        ("clip", ["i8[2]"], {"lo": 0.5}, "[2]"),
        ("sum", ["bool[2]"], {}, "i64[]"),
        ("mean", ["u8[2]"], {}, "[]"),
        ("cumsum", ["i8[2]"], {"axis": 0}, "i64[2]"),
        ("softmax", ["bf16[2]"], {}, "bf16[2]"),
        ("concat", ["i8[2]", "i32[2]"], {"axis": 0}, "i32[4]"),
    ],
)
def test_dtypes_promote(name: str, operands: list[str], attributes: dict[str, Any], expected: str) -> None:
    result = make(OPS[name](**attributes), [build.input("x", text) for text in operands]).outputs[0]
    assert result.type == parse_type(expected)
    if result.node.op.is_composite():
        assert result.node.op.expand(*result.node.operands).type == result.type


def test_promotion_has_an_order_and_a_unit() -> None:
    for a in DType:
        assert promote(a, a) is a
        for b in DType:
            assert promote(a, b) is promote(b, a)
            assert promote(promote(a, b), b) is promote(a, b)


MESSAGES: list[tuple[str, list[str], dict[str, Any], str]] = [
    ("add", ["[2, 3]", "[2, 4]"], {}, "[2, 3] and [2, 4] do not fit together: axis 1 is 3 in one and 4 in the other"),
    ("matmul", ["[2, 3]", "[4, 5]"], {}, "3 in the last axis of [2, 3], 4 in axis -2 of [4, 5]"),
    ("conv", ["[N, 3, 8]", "[4, 2, 3]"], {}, "3 in [N, 3, 8], 2 in the weight [4, 2, 3]"),
    ("conv", ["[N, 3, 2]", "[4, 3, 3]"], {}, "a window of 3 does not fit into axis 2 of [N, 3, 2], padded by (0, 0)"),
    (
        "conv",
        ["[N, 3, 8]", "[4, 3, 3]"],
        {"groups": 2},
        "2 groups do not divide the input channels",
    ),
    ("reshape", ["[N, 3]"], {"shape": (N, 4)}, "it has 3*N elements, which is not known to be 4*N"),
    ("reshape", ["[2, 3]"], {"shape": (4, -1)}, "it has 6 elements, which 4 does not divide"),
    ("concat", ["[N, 3]", "[N, 4]"], {"axis": 0}, "axis 1 do not fit: 3 in tensor 0, [N, 3], 4 in tensor 1, [N, 4]"),
    ("einsum", ["[2, 3]", "[4, 5]"], {"equation": "ij,jk->ik"}, 'the sizes of `j` in "ij,jk->ik" do not fit'),
    (
        "layer_norm",
        ["[2, 3]", "[4]"],
        {},
        "do not fit: 3 in axis -1 of [2, 3], 4 in the weight",
    ),
    ("attention", ["[2, 4]", "[5, 3]", "[5, 3]"], {}, "4 in the query [2, 4], 3 in the key [5, 3]"),
    ("max", ["[3, 0]"], {"axes": (1,)}, "`max` has nothing to choose from: axis 1 of [3, 0] is empty"),
    ("take", ["[3, 4]", "[2]"], {"axis": 0}, "the index of `take` must hold integers, not [2]"),
]


@pytest.mark.parametrize(("name", "operands", "attributes", "message"), MESSAGES)
def test_errors_name_both_sides(name: str, operands: list[str], attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        build.call(name, *(build.input("x", text) for text in operands), **attributes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "operands", "attributes", "expected"),
    [
        ("matmul", ["[2, 3, 4]", "[4, 5]"], {}, 2 * 3 * 4 * 5),
        ("matmul", ["[4]", "[4]"], {}, 4),
        ("linear", ["[N, 7, 4]", "[5, 4]", "[5]"], {}, N * 7 * 4 * 5),
        ("einsum", ["[2, 3]", "[3, 5]"], {"equation": "ij,jk->ik"}, 30),
        ("einsum", ["[N, 2, 3]", "[5, 3]"], {"equation": "...i,oi->...o"}, N * 2 * 5 * 3),
        ("einsum", ["[2, 3]"], {"equation": "ij->ji"}, 0),
        ("conv", ["[N, 4, 8, 8]", "[6, 2, 3, 3]"], {"groups": 2}, N * 6 * 6 * 6 * 2 * 3 * 3),
        ("conv_transpose", ["[N, 4, 8]", "[4, 6, 3]"], {"stride": (2,)}, N * 4 * 8 * 6 * 3),
        ("attention", ["[2, 3, 4]", "[2, 5, 4]", "[2, 5, 6]"], {}, 2 * 3 * 5 * (4 + 6)),
        ("add", ["[2]", "[2]"], {}, 0),
    ],
)
def test_multiply_adds(name: str, operands: list[str], attributes: dict[str, Any], expected: Any) -> None:
    node = make(OPS[name](**attributes), [build.input("x", text) for text in operands])
    assert node.op.multiply_adds([v.type for v in node.operands], node.types) == expected
