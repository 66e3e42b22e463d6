"""Passes that change how a network is built: parts are left out, widened, or put in."""
