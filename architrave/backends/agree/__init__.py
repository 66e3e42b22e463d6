"""Do the backends agree? Every one is compared with the oracle, and with every other."""

from architrave.backends.agree.report import Comparison, Divergence, Report
from architrave.backends.agree.verification import verify

__all__ = ["Comparison", "Divergence", "Report", "verify"]
