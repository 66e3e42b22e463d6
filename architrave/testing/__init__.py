"""For other projects: assertions that a network means the same in every backend.

    from architrave.testing import assert_backends_agree

    def test_my_network():
        assert_backends_agree("my_network.arch:Encoder", sizes={"N": 3}, layers=2)

The pytest plugin, which installing the package brings, offers the same as a fixture, and collects `.arch` files:
see `architrave.testing.plugin`.
"""

from architrave.testing.assertions import assert_backends_agree

__all__ = ["assert_backends_agree"]
