"""The LALR tables of grammar.json, which lark makes from grammar.lark, ready for the parser's loop.

Reading them takes about three milliseconds; lark is needed only to write them (`parser.write_tables`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, TypedDict


class RuleData(TypedDict):
    """A rule as it stands in the file. `picks` are the symbols handed to the action; -1 hands on None."""

    origin: str
    length: int
    action: str | None
    picks: list[int]


class StateData(TypedDict):
    """A state as it stands in the file: `reduce` maps a rule to the set of tokens on which it is reduced."""

    symbol: str
    shift: dict[str, int]
    reduce: dict[str, int]


class TableData(TypedDict):
    """grammar.json."""

    start: int
    rules: list[RuleData]
    lookaheads: list[list[str]]
    states: list[StateData]


PARTS: tuple[Literal["rules", "lookaheads", "states"], ...] = ("rules", "lookaheads", "states")


@dataclass(frozen=True, slots=True)
class Rule:
    """`action` is None for a rule that hands its one child on."""

    origin: str
    length: int
    action: str | None
    picks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """`moves[state]` maps a token's kind or a rule's origin to the next state, or to `~rule` to reduce.

    `symbols[state]` is what stands on the stack's top in that state.
    """

    start: int
    rules: list[Rule]
    moves: list[dict[str, int]]
    symbols: list[str]


@cache
def load_tables() -> Tables:
    """The tables that come with the package."""
    text = resources.files("architrave.dsl").joinpath("grammar.json").read_text(encoding="utf-8")
    data: TableData = json.loads(text)
    moves: list[dict[str, int]] = []
    for state in data["states"]:
        moves.append(state["shift"])
        for rule, lookahead in state["reduce"].items():
            state["shift"].update(dict.fromkeys(data["lookaheads"][lookahead], ~int(rule)))
    rules = [Rule(rule["origin"], rule["length"], rule["action"], tuple(rule["picks"])) for rule in data["rules"]]
    return Tables(data["start"], rules, moves, [state["symbol"] for state in data["states"]])


def dump_tables(table: dict[str, Any], memo: dict[int, Any]) -> str:
    """The text of grammar.json, from the parse table and the definitions that lark serializes.

    Lark numbers states and rules by chance; here they are numbered in the order in which a walk from the start
    meets them, so that the same grammar gives the same file.
    """
    written = {each["name"]: each["pattern"]["value"] for each in memo.values() if each["__type__"] == "TerminalDef"}
    written["$END"] = "END"
    names = {number: written.get(name, name) for number, name in table["tokens"].items()}
    start = table["start_states"]["start"]
    order, symbols = [start], {start: "START"}
    rules: dict[int, RuleData] = {}
    lookaheads: dict[tuple[str, ...], int] = {}
    states: list[StateData] = []
    for state in order:
        moves = sorted((names[number], move) for number, move in table["states"][state].items())
        state_data: StateData = {"symbol": symbols[state], "shift": {}, "reduce": {}}
        reduced: dict[int, list[str]] = {}
        for name, (is_reduce, to) in moves:
            if is_reduce:
                reduced.setdefault(to["@"], []).append(name)
            elif to not in symbols:
                symbols[to] = name
                order.append(to)
        for number, on in reduced.items():
            rules.setdefault(number, _rule_data(memo[number]))
            rule = list(rules).index(number)
            state_data["reduce"][str(rule)] = lookaheads.setdefault(tuple(on), len(lookaheads))
        states.append(state_data)
    place = {state: i for i, state in enumerate(order)}
    for state, state_data in zip(order, states, strict=True):
        moves = sorted((names[number], move) for number, move in table["states"][state].items())
        state_data["shift"] = {name: place[to] for name, (is_reduce, to) in moves if not is_reduce}
    states[place[table["end_states"]["start"]]]["shift"]["END"] = 0
    data: TableData = {
        "start": 0,
        "rules": list(rules.values()),
        "lookaheads": [list(on) for on in lookaheads],
        "states": states,
    }
    lines = [f"{json.dumps(key)}: [\n" + ",\n".join(map(json.dumps, data[key])) + "\n]" for key in PARTS]
    return '{"start": 0,\n' + ",\n".join(lines) + "}\n"


def _rule_data(rule: dict[str, Any]) -> RuleData:
    """Which symbols the action gets: all but words in quotes and newlines, and None for each optional one left out."""
    options = rule["options"]
    symbols: list[dict[str, Any]] = rule["expansion"]
    left_out: Sequence[bool] = options["empty_indices"] or (False,) * len(symbols)
    expansion = iter(enumerate(symbols))
    picks: list[int] = []
    for is_left_out in left_out:
        if is_left_out:
            picks.append(-1)
            continue
        number, symbol = next(expansion)
        is_kept = options["keep_all_tokens"] or not symbol.get("filter_out")
        if is_kept and symbol["name"] != "NEWLINE":
            picks.append(number)
    return {
        "origin": rule["origin"]["name"],
        "length": len(symbols),
        "action": rule["alias"],
        "picks": picks,
    }
