"""Recipes of downstream tasks, and what they share.

`imdb`, `mnli` and `squad` are recipes; `options` has the options of all,
`features` the features of the words, `graphs` the choice of graphs, `run` the
runs over seeds, `pictures` the pictures of a run.
"""
