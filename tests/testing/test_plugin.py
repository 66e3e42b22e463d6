"""The pytest plugin in a project of its own, and the assertion that it offers."""

import pytest

import architrave
from architrave.testing import assert_backends_agree
from tests.ir.graphs import running_max

pytest_plugins = ["pytester"]

NETWORK = '''"""Two layers."""
model Small(hidden: int = 3)(x: [N, 4]) -> [N, 2] {
    param w1: [hidden, 4] = normal(0.5)
    param w2: [2, hidden] = normal(0.5)
    return einsum(tanh(einsum(x, w1, "n i, o i -> n o")), w2, "n i, o i -> n o")
}

expect Small: params == 18
'''


@pytest.fixture(scope="module")
def warm() -> None:
    """Import all that a run imports: pytester forgets what its runs import, which NumPy does not survive."""
    assert_backends_agree(architrave.loads(NETWORK))


@pytest.fixture
def project(warm: None, pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".arch", net=NETWORK)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # In this process: to import the frameworks again for each test would take long.
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments)


def test_a_file_that_is_named_is_tested(project: pytest.Pytester) -> None:
    result = run(project, "net.arch", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["net.arch::expectations PASSED*", "net.arch::Small PASSED*"])


def test_files_are_collected_by_pattern_alone(project: pytest.Pytester) -> None:
    run(project).assert_outcomes()
    project.makepyprojecttoml('[tool.pytest.ini_options]\narchitrave_models = ["*.arch"]\n')
    run(project).assert_outcomes(passed=2)


def test_an_expectation_that_does_not_hold(project: pytest.Pytester) -> None:
    project.makefile(".arch", net=NETWORK.replace("18", "19"))
    result = run(project, "net.arch")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*net.arch:8*params == 19, but params is 18"])


def test_a_file_with_errors(project: pytest.Pytester) -> None:
    project.makefile(".arch", net="model Broken(\n", wrong="model Wrong()(x: [N]) -> [N, 2] = x\n")
    result = run(project, "net.arch", "wrong.arch")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*error[[]E*", "*--> *net.arch:*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result = run(project, "wrong.arch")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*error[[]E*", "*--> *wrong.arch:1:*"])


def test_the_fixture(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_small(assert_backends_agree):
            report = assert_backends_agree("net.arch", sizes={"N": 3}, gradients=False, hidden=5)
            assert report.sizes == {"N": 3}
        """
    )
    run(project).assert_outcomes(passed=1)


def test_a_graph_may_be_given() -> None:
    assert assert_backends_agree(running_max(features=3)).ok


def test_what_disagrees_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from architrave.backends.agree import difference

    monkeypatch.setitem(difference.FORWARD, "float64", -1.0)
    with pytest.raises(AssertionError, match=r"running_max: the backends DISAGREE\n(.|\n)*output `output 0`: relative"):
        assert_backends_agree(running_max(features=3), dtypes=["float64"], gradients=False)
