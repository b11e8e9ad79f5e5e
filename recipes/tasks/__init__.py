"""Recipes of downstream tasks, and what they share.

`imdb`, `mnli`, `squad` and `pos_tags` are recipes that train; `compare`
compares their runs, and `evaluate_squad` scores a file of SQuAD predictions.
The rest is shared: `options` has the options of all tasks, `features` the
features of the words, `graphs` the choice of graphs, `run` the data, training
and prediction, `pictures` the pictures of a run; `reading` turns SQuAD's
questions into examples and answers.
"""
