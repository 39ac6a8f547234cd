"""What happens on a node: one attempt of a run, from its order to its stored outputs. Knows no Ray."""
