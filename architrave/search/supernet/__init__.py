"""Networks that hold the weights of all members of a space: how they learn, and members cut out of them."""
