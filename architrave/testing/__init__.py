"""For other projects: assertions that a network means the same in every backend, and after passes.

    from architrave.testing import assert_backends_agree

    def test_my_network():
        assert_backends_agree("my_network.arch:Encoder", sizes={"N": 3}, layers=2)

`assert_same_function` says of two networks, or of one and what passes make of it, that they compute the same.

The pytest plugin, which installing the package brings, offers the same as a fixture, and collects `.arch` files:
see `architrave.testing.plugin`.
"""

from architrave.testing.assertions import assert_backends_agree, assert_same_function

__all__ = ["assert_backends_agree", "assert_same_function"]
