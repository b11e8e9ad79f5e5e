"""What the recipes of downstream tasks share.

`options` what can be chosen, `features` the units' features, `graphs` the
modes of the graphs, `run` a task's runs over seeds, `pictures` what a run
draws.
"""
