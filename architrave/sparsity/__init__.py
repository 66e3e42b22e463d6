"""Sparse weights: which numbers stay, when, and what that saves.

The pass `mask` (`architrave.passes`) gives weights masks; what sets them comes from here: weights in, weights out.

    masked = apply(network, "mask")
    plan = Plan(density=0.1, method="magnitude", distribution="erk")
    weights = sparse(masked.graph, masked.weights(trained), plan)
"""
