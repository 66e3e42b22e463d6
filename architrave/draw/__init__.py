"""Pictures of networks."""

from architrave.draw.picture import picture

__all__ = ["picture"]
