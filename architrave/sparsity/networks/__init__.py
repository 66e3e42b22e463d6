"""Networks in the shape of what is left: recurrent graphs, networks without dead nodes, dense twins."""
