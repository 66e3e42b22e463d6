"""What every test shares: quiet, single-threaded frameworks, and golden files."""

import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# The frameworks read these when they are first imported, which no test has done yet. Several test processes share the
# cores, and JAX must not look for accelerators.
for variable, value in {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}.items():
    os.environ.setdefault(variable, value)

# The machine that runs the tests may be slow or busy, so no example is ever too slow; and a failure must repeat.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
# `make fuzz` says how many examples each test gets.
examples = int(os.environ.get("EXAMPLES", "2000"))
settings.register_profile("fuzz", deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
# Hypothesis also tries numbers that it finds in the modules that are loaded: what a test draws would depend on the
# tests that ran before it in the same process.
providers._get_local_constants = providers.Constants


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture
def quick_jax() -> Iterator[None]:
    """JAX leaves most optimizations out: for whole networks, of which compiling them takes most of the time.

    Operators and random graphs are compiled as for users, and so are whole networks in the slow tests.
    """
    jax = pytest.importorskip("jax")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` asserts that `text` is what `golden/name` beside the test file holds.

    With `--update-golden` it writes the file instead: the change is then a diff to review.
    """
    folder = Path(request.path).parent / "golden"
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = folder / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        if not path.exists():
            pytest.fail(f"there is no golden file {path}; run pytest --update-golden and review what it writes")
        expected = path.read_text(encoding="utf-8")
        if text == expected:
            return
        lines = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), "golden file", "this run", n=2, lineterm=""
        )
        pytest.fail("\n".join([f"{path} differs (if that is meant: pytest --update-golden)", *lines]), pytrace=False)

    return compare
