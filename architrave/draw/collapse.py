"""Fewer boxes that say the same: equal layers in a row as one, and small operators in a row as one box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from architrave.draw.labels import is_symbol
from architrave.draw.parts import Outline, Part

Neighbours = Mapping[Part, Set[Part]]

LINES = 4
"""Operators that one box names."""


def collapse(found: Outline, likeness: Callable[[Part], object]) -> None:
    """Draw layers of one list that feed one another, and are alike, as the first of them."""
    before, after = _neighbours(found)
    others: dict[Part, Part] = {}
    pending = [found.root]
    while pending:
        frame = pending.pop()
        runs: list[list[Part]] = []
        for part in frame.parts:
            run = runs[-1] if runs else []
            if run and _follows(run[-1], part, before, after) and likeness(part) == likeness(run[0]):
                run.append(part)
            else:
                runs.append([part])
        for first, *rest in runs:
            for other in rest:
                others.update(zip(other.boxes(), first.boxes(), strict=True))
            first.many = 1 + len(rest)
            if rest:
                first.name = f"{first.name}-{rest[-1].name.rpartition('.')[2]}"
        frame.parts = [run[0] for run in runs]
        pending += [part for part in frame.parts if part.is_open]
    found.edges = {(_first(a, others), b): None for a, b in found.edges if b not in others}


def fold(found: Outline) -> None:
    """Show from inside only the first of frames that are equal but for shapes; the others are boxes that name it."""
    arrows = _inner_arrows(found)
    shown: dict[object, Part] = {}
    others: dict[Part, Part] = {}
    pending = [found.root]
    while pending:
        frame = pending.pop()
        if frame.role != "instance" or shown.setdefault(structure := _structure(frame, arrows), frame) is frame:
            pending += [part for part in reversed(frame.parts) if part.is_open]
            continue
        boxes = frame.boxes()
        others |= dict.fromkeys(boxes, frame)
        frame.kinds = [*frame.kinds, f"as {shown[structure].path or shown[structure].name}"]
        frame.nodes = [node for box in boxes for node in box.nodes]
        frame.parts, frame.is_open = [], False
    found.replace(others)


def _structure(frame: Part, arrows: Mapping[Part, list[tuple[Part, Part]]]) -> object:
    """What frames share that are equal but for their names and shapes."""
    boxes = {box: number for number, box in enumerate(frame.boxes())}
    parts = [(part.role, part.name if part is not frame else "", *part.kinds) for part in frame.walk()]
    inside = sorted((boxes[a], boxes[b]) for a, b in arrows.get(frame, []))
    return tuple(parts), tuple(inside)


def _inner_arrows(found: Outline) -> dict[Part, list[tuple[Part, Part]]]:
    """For each frame the arrows inside it."""
    inner: dict[Part, list[tuple[Part, Part]]] = {}
    for a, b in found.edges:
        around = set(a.upwards())
        for part in b.upwards():
            if part in around:
                inner.setdefault(part, []).append((a, b))
    return inner


def join(found: Outline) -> None:
    """Let operators that stand in a row share a box, if each gives all that it does to the next."""
    before, after = _neighbours(found)
    joined: dict[Part, Part] = {}
    for a, b in list(found.edges):
        first = _first(a, joined)
        if not (_is_small(first) and _is_small(b)) or first.around is not b.around or b in joined:
            continue
        if after[a] != {b} or before[b] != {a} or len(first.kinds) + len(b.kinds) > LINES:
            continue
        first.kinds += b.kinds
        first.nodes += b.nodes
        first.outputs = b.outputs
        joined[b] = first
    found.edges = {(_first(a, joined), b): None for a, b in found.edges if b not in joined}
    found.keep({box for box in found.boxes if box not in joined})


def bundle(found: Outline) -> None:
    """Draw equal operators beside one another, from the same boxes to the same boxes, as one of them."""
    before, after = _neighbours(found)
    firsts: dict[object, Part] = {}
    others: dict[Part, Part] = {}
    for box in found.boxes:
        if box.role not in ("call", "operator") or is_symbol(box.kinds[0]):
            continue
        ends = (frozenset(before.get(box, ())), frozenset(after.get(box, ())))
        first = firsts.setdefault((box.around, *box.kinds, *ends), box)
        if first is not box:
            first.many += 1
            others[box] = first
    found.replace(others)
    found.keep({box for box in found.boxes if box not in others})


def _is_small(part: Part) -> bool:
    return part.role in ("call", "operator") and not is_symbol(part.kinds[0])


def _first(part: Part, others: Mapping[Part, Part]) -> Part:
    while part in others:
        part = others[part]
    return part


def _follows(last: Part, part: Part, before: Neighbours, after: Neighbours) -> bool:
    """Whether a layer is the next in a list, and what it gets is from the last one, or from where that one has it."""
    if last.role != "instance" or part.role != "instance" or not _is_next(last.name, part.name):
        return False
    inside = set(last.boxes())
    given = before.get(part, set[Part]())
    return (
        not inside.isdisjoint(given)
        and given - inside <= before.get(last, set[Part]())
        and after.get(last, set[Part]()) <= set(part.boxes())
    )


def _is_next(last: str, name: str) -> bool:
    (head, _, number), (other, _, following) = last.rpartition("."), name.rpartition(".")
    return head == other and number.isdecimal() and following.isdecimal() and int(following) == int(number) + 1


def _neighbours(found: Outline) -> tuple[dict[Part, set[Part]], dict[Part, set[Part]]]:
    """For each part the boxes outside of it that give something to it, and those that it gives something to."""
    before: dict[Part, set[Part]] = {}
    after: dict[Part, set[Part]] = {}
    for a, b in found.edges:
        above_a, above_b = list(a.upwards()), list(b.upwards())
        while above_a and above_b and above_a[-1] is above_b[-1]:
            above_a.pop()
            above_b.pop()
        for part in above_b:
            before.setdefault(part, set()).add(a)
        for part in above_a:
            after.setdefault(part, set()).add(b)
    return before, after
