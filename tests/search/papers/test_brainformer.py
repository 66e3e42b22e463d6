"""Brainformers, of sublayers in any order: Zhou and others (2023)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.cost import parameters
from architrave.ir.ops.leaves import path_of
from architrave.search.space.activated import activated
from tests.search.spaces import costs

HEADER = "from std.moe import expert_choice, moe, token_choice\nfrom std.combine import mlp\n"
WIDTH, TOKENS = 6, 8


def mixture(arguments: str) -> architrave.Graph:
    return architrave.loads(f"{HEADER}model M()(x: [2, {TOKENS}, {WIDTH}]) = x -> moe: moe({arguments})\n")


@pytest.mark.parametrize("gating", ["expert", "token"])
def test_one_expert_with_room_for_all_is_a_perceptron(gating: str) -> None:
    graph = mixture(f'1, 12, 1.0, "{gating}"')
    weights = architrave.init(graph)
    rng = np.random.default_rng(0)
    weights = {path: rng.standard_normal(w.shape) for path, w in weights.items()}
    dense = architrave.loads(f"{HEADER}model D()(x: [2, {TOKENS}, {WIDTH}]) = x -> mlp: mlp(12)\n")
    same = {
        "mlp.fc1.weight": weights["moe.experts.up"][0],
        "mlp.fc1.bias": weights["moe.experts.up_bias"][0, 0],
        "mlp.fc2.weight": weights["moe.experts.down"][0],
        "mlp.fc2.bias": weights["moe.experts.down_bias"][0, 0],
    }
    x = rng.standard_normal((2, TOKENS, WIDTH))
    (found,) = architrave.interpret(graph, [x], weights).outputs
    (wanted,) = architrave.interpret(dense, [x], same).outputs
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(("experts", "capacity"), [(4, 1.0), (4, 2.0), (2, 1.0), (8, 3.0)])
def test_experts_that_choose_take_equal_shares(experts: int, capacity: float) -> None:
    count = int(capacity * TOKENS / experts)
    text = f"{HEADER}model M()(x: [2, {TOKENS}, {experts}]) = expert_choice(softmax(x), {count})\n"
    scores = np.random.default_rng(0).standard_normal((2, TOKENS, experts))
    tokens, gates = architrave.interpret(architrave.loads(text), [scores]).outputs
    assert tokens.shape == (2, experts, count, TOKENS)
    np.testing.assert_array_equal(tokens.sum(axis=(2, 3)), count)
    np.testing.assert_array_equal(tokens.sum(axis=-1), 1)
    assert (tokens.sum(axis=2) <= 1).all()
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(gates, -np.sort(-shares.transpose(0, 2, 1), axis=-1)[..., :count], rtol=1e-12)


def test_tokens_that_choose_queue_for_their_experts() -> None:
    """As a loop over first choices and then second ones does it."""
    experts, capacity = 4, 3
    text = f"{HEADER}model M()(x: [2, {TOKENS}, {experts}]) = token_choice(x, 2, {capacity})\n"
    scores = np.random.default_rng(0).uniform(0.1, 1, (2, TOKENS, experts))
    scores[..., 0] += 1  # the favourite of all
    seats, gates = architrave.interpret(architrave.loads(text), [scores]).outputs
    wanted = np.zeros((2, experts, capacity, TOKENS))
    for n in range(2):
        taken = [0] * experts
        order = np.argsort(-scores[n], axis=-1)
        for choice in range(2):
            for token in range(TOKENS):
                expert = order[token, choice]
                if taken[expert] < capacity:
                    wanted[n, expert, taken[expert], token] = 1
                taken[expert] += 1
    np.testing.assert_array_equal(seats, wanted)
    np.testing.assert_allclose(gates.sum(axis=-1), 1, rtol=1e-12)
    assert ((gates > 0).sum(axis=-1) == 2).all()


@pytest.mark.parametrize("gating", ["expert", "token"])
def test_activated_parameters_do_not_depend_on_the_number_of_experts(gating: str) -> None:
    router = [activated(mixture(f'{n}, 12, 1.0, "{gating}"'), 2 * TOKENS) - n * WIDTH for n in (1, 2, 4, 8)]
    assert router == [2 * 12 * WIDTH] * 4
    twice = activated(mixture(f'4, 12, 2.0, "{gating}"'), 2 * TOKENS) - 4 * WIDTH
    assert twice == 2 * router[0]
    params = [parameters(mixture(f"{n}, 12")) for n in (1, 8)]
    assert params[1] == 8 * params[0]


def test_sublayers_stand_as_they_are_decided() -> None:
    found = costs("Brainformer")
    rng = np.random.default_rng(0)
    for member in (found.space.sample(rng) for _ in range(3)):
        graph = found.member_graph(member)
        slots = sum(path.startswith("sublayer.") for path in member)
        inner = [str(node.place).split(".") for node in graph.nodes if str(node.place).startswith("stack.")]
        order = list(dict.fromkeys((*parts[1:3], parts[3]) for parts in inner if len(parts) > 3 and parts[3] != "norm"))
        wanted = [member[f"sublayer.{i}"] for i in range(slots)]
        assert order == [(str(s), str(i), wanted[i]) for s in range(2) for i in range(slots)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [("before", ["norm", "dense"]), ("after", ["dense", "norm"])],
)
def test_norms_stand_before_sublayers_or_after_what_they_are_added_to(label: str, expected: list[str]) -> None:
    found = costs("Brainformer")
    dense = {f"sublayer.{i}": "dense" for i in range(2)}
    graph = found.member_graph(found.space.decided({**dense, "normalize": label}))
    inner = [str(node.place).split(".") for node in graph.nodes if str(node.place).startswith("stack.0.0.")]
    assert list(dict.fromkeys(parts[3] for parts in inner)) == expected


def test_gates_are_maps_of_their_own() -> None:
    found = costs("Brainformer")
    for kind, gate in (("dense", "dense.gate.weight"), ("moe", "moe.experts.gate")):
        decided = {f"sublayer.{i}": kind for i in range(2)}
        one, other = (found.member_graph(found.space.decided({**decided, "gated": gated})) for gated in ("no", "yes"))
        more = {path_of(w) for w in other.weights} - {path_of(w) for w in one.weights}
        assert more == {f"stack.{s}.{i}.{gate}" for s in range(2) for i in range(2)}
