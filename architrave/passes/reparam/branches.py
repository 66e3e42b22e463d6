"""The branches that papers give a convolution for its training: all of them together are one convolution again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from architrave.ir.graph import Value, apply
from architrave.ir.ops.pooling import AvgPool
from architrave.passes.reparam.affine import Dense, Window
from architrave.passes.reparam.trainable import Trainable

DILATED = {
    3: ((3, 1),),
    5: ((3, 1), (3, 2)),
    7: ((5, 1), (3, 2), (3, 3)),
    9: ((5, 1), (5, 2), (3, 3), (3, 4)),
    11: ((5, 1), (5, 2), (3, 3), (3, 4), (3, 5)),
    13: ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5)),
    15: ((5, 1), (7, 2), (3, 3), (3, 5), (3, 7)),
    17: ((5, 1), (9, 2), (3, 4), (3, 5), (3, 7)),
}
"""For the size of a kernel the sizes and dilations of the branches, as in UniRepLKNet; 3 is our own."""


class Unfit(Exception):
    """Why a convolution cannot have the branches that it was to have."""


@dataclass(frozen=True)
class Branches:
    """The branches of one convolution, which is `main` on a stand-in for its input, below a place."""

    main: Dense
    inside: Trainable
    count: int = 1

    @property
    def out(self) -> int:
        out = self.main.weight.shape[0]
        assert isinstance(out, int)
        return out

    def conv(self, name: str, kernel: tuple[int, ...], window: Window) -> Value:
        """A normalized convolution of the input."""
        part = self.inside.at(name)
        return part.norm(part.conv(self.main.x, self.out, kernel, window))

    def like_main(self) -> Iterator[Value]:
        """Further branches like the convolution itself."""
        for i in range(1, self.count):
            yield self.conv(f"kernel{i}", self.main.kernel, self.main.window)

    def pointwise(self) -> Iterator[Value]:
        """One tap: the one that sees the cell which the result stands for."""
        if not self.main.is_pointwise:
            yield self.conv("pointwise", (1,) * self.main.window.rank, self._narrow(range(self.main.window.rank)))

    def identity(self) -> Iterator[Value]:
        """The input, normalized, where it has the shape of the result."""
        if self.main.x.shape == self.main.out and set(self.main.window.stride) == {1}:
            yield self.inside.at("identity").norm(self.main.x)

    def asymmetric(self) -> Iterator[Value]:
        """For each axis a kernel along it that has one tap along the others."""
        rank = self.main.window.rank
        if rank < 2:
            raise Unfit("along one axis there is one form of kernel")
        for axis in range(rank):
            others = [a for a in range(rank) if a != axis]
            kernel = tuple(k if a == axis else 1 for a, k in enumerate(self.main.kernel))
            yield self.conv(f"along{axis}", kernel, self._narrow(others))

    def stacked(self) -> Iterator[Value]:
        """A convolution of one tap, and one like the convolution itself.

        The zeros are put around before the first of them, so that the second sees what the first makes of them.
        """
        part = self.inside.at("stacked")
        x, window = self._mixed(part)
        part = part.at("second")
        yield part.norm(part.conv(x, self.out, self.main.kernel, window))

    def pooled(self) -> Iterator[Value]:
        """A convolution of one tap, and a mean of each window."""
        if any(d != 1 for d in self.main.window.dilation):
            return
        part = self.inside.at("pooled")
        x, window = self._mixed(part, self.out)
        part = part.at("second")
        yield part.norm(apply(AvgPool(self.main.kernel, window.stride), x))

    def dilated(self) -> Iterator[Value]:
        """Smaller kernels with holes, which reach as far."""
        sizes = set(self.main.kernel)
        (size,) = sizes if len(sizes) == 1 else (0,)
        if size not in DILATED:
            raise Unfit(f"kernels of {list(self.main.kernel)} have no dilated branches: those of {list(DILATED)} have")
        for k, rate in DILATED[size]:
            cut, rank = (size - 1 - (k - 1) * rate) // 2, self.main.window.rank
            apart = tuple(rate * d for d in self.main.window.dilation)
            window = replace(self._cut([(cut, cut)] * rank), dilation=apart)
            yield self.conv(f"dilated{k}_{rate}", (k,) * rank, window)

    def _mixed(self, part: Trainable, out: int | None = None) -> tuple[Value, Window]:
        """The padded input after a normalized convolution of one tap, and the window that is then left."""
        channels = self.main.x.shape[1]
        assert isinstance(channels, int)
        window, ones = self.main.window, (1,) * self.main.window.rank
        first = part.at("first")
        x = first.conv(self.main.x, out or channels, ones, Window(ones, window.padding, ones, window.groups))
        return first.norm(x), replace(window, padding=((0, 0),) * window.rank)

    def _narrow(self, axes: Collection[int]) -> Window:
        """The window of a kernel with one tap along these axes: the tap that sees the cell of the result."""
        cuts = [(0, 0)] * self.main.window.rank
        for axis in axes:
            (low, _), apart = self.main.window.padding[axis], self.main.window.dilation[axis]
            before = min(low // apart, self.main.kernel[axis] - 1) if isinstance(low, int) else 0
            cuts[axis] = (before, self.main.kernel[axis] - 1 - before)
        return self._cut(cuts)

    def _cut(self, taps: Sequence[tuple[int, int]]) -> Window:
        """The window of a kernel that lacks so many taps at its ends."""
        window = self.main.window
        padding: list[tuple[int, int]] = []
        for (low, high), (before, after), apart in zip(window.padding, taps, window.dilation, strict=True):
            if not isinstance(low, int) or not isinstance(high, int):
                raise Unfit("how wide its padding is is known in the run alone")
            padding.append((low - before * apart, high - after * apart))
        if min(width for pair in padding for width in pair) < 0:
            raise Unfit("its padding is narrower than its kernel: the branch would have to cut its input")
        return replace(window, padding=tuple(padding))


def _repvgg(of: Branches) -> Iterator[Value]:
    yield from of.pointwise()
    yield from of.identity()


def _diverse(of: Branches) -> Iterator[Value]:
    yield from of.pointwise()
    yield from of.stacked()
    yield from of.pooled()


def _mobileone(of: Branches) -> Iterator[Value]:
    yield from of.like_main()
    yield from of.pointwise()
    yield from of.identity()


FORMS: dict[str, Callable[[Branches], Iterator[Value]]] = {
    "repvgg": _repvgg,
    "acnet": Branches.asymmetric,
    "diverse": _diverse,
    "dilated": Branches.dilated,
    "mobileone": _mobileone,
}
"""What each form adds beside the convolution, which is normalized, too."""
