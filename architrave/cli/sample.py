"""`architrave sample`: text from a network that was trained on one."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.ir.source import error, printable


@examples(
    "architrave sample letters.arch letters.safetensors --length 40",
    "architrave sample letters.arch letters.safetensors --prompt abc --temperature 0.8 --length 40",
)
@click.command("sample")
@click.argument("name", metavar="MODEL")
@click.argument("weights", metavar="WEIGHTS")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--prompt", default="", metavar="TEXT", help="What the text begins with.")
@click.option("--length", type=click.IntRange(0), default=500, show_default=True, help="Characters to write.")
@click.option("--temperature", type=click.FloatRange(0), default=1.0, show_default=True, help="0 takes the likeliest.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same text.")
@model_options
@json_option
def command(
    name: str,
    weights: str,
    backend: str,
    prompt: str,
    length: int,
    temperature: float,
    seed: int,
    as_json: bool,
    **selected: Any,
) -> int:
    """Write text, character by character.

    The weights are those that `architrave train` wrote after training on a .txt file.
    """
    from architrave.backends.load import compile
    from architrave.train.data.texts import encoded, sample, window_length
    from architrave.weights import load

    graph = Selection(name, **selected).graph()
    context = window_length(graph)
    alphabet = _alphabet(weights)
    arrays = load(weights, graph)
    program = compile(graph, backend)
    start = encoded(prompt or alphabet[0], alphabet)

    def logits(window: Any) -> Any:
        return program.run(arrays, window).outputs[0]

    codes = itertools.islice(sample(logits, start, context, temperature, seed), length)
    characters = itertools.chain(prompt, (alphabet[code] for code in codes))
    if as_json:
        print_json("sample", True, {"model": graph.name, "text": "".join(characters)})
        return 0
    for character in characters:
        sys.stdout.write(character)
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


def _alphabet(path: str) -> tuple[str, ...]:
    """The characters that the network was trained on, as its weights' file says. Raises E501, E547."""
    from architrave.weights import read_metadata

    try:
        labels: Any = json.loads(read_metadata(path).get("labels", "[]"))
        alphabet = tuple(str(label) for label in labels)
    except (ValueError, TypeError, RecursionError):
        alphabet = ()
    if not alphabet or any(len(character) != 1 for character in alphabet):
        hint = "train with `--data FILE.txt --weights FILE`, which writes them"
        raise error("E547", f"{printable(path)} does not say which characters it is about", hint=hint)
    return alphabet
