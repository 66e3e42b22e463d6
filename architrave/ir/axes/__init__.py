"""Which axes of a network's tensors hang together: its dimensions, as they follow from the operators."""
