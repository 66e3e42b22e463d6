"""Networks of single bits."""
