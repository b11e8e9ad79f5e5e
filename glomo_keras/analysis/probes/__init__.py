"""Tests of what graphs find: dependency heads, coreference, n-grams.

Each probe asks one question of every head of a predictor: does the strongest
edge of a word come from the word that a person would name? Its result is a
`Tally` with intervals. See docs/graphs.md for the conventions.
"""

from glomo_keras.analysis.probes.coreference import Pronoun
from glomo_keras.analysis.probes.coreference import coreference_tallies
from glomo_keras.analysis.probes.coreference import nearest_name
from glomo_keras.analysis.probes.coreference import read_gap
from glomo_keras.analysis.probes.dependencies import dependency_table
from glomo_keras.analysis.probes.dependencies import dependency_tallies
from glomo_keras.analysis.probes.dependencies import head_distances
from glomo_keras.analysis.probes.dependencies import tree_tallies
from glomo_keras.analysis.probes.induction import induction_tallies
from glomo_keras.analysis.probes.strongest import decay_graphs
from glomo_keras.analysis.probes.strongest import offset_sources
from glomo_keras.analysis.probes.strongest import strongest_sources
from glomo_keras.analysis.probes.tally import Tally
from glomo_keras.analysis.probes.treebank import Sentence
from glomo_keras.analysis.probes.treebank import read_conllu
from glomo_keras.analysis.probes.word_graphs import word_graphs

__all__ = [
    "Pronoun",
    "Sentence",
    "Tally",
    "coreference_tallies",
    "decay_graphs",
    "dependency_table",
    "dependency_tallies",
    "head_distances",
    "induction_tallies",
    "nearest_name",
    "offset_sources",
    "read_conllu",
    "read_gap",
    "strongest_sources",
    "tree_tallies",
    "word_graphs",
]
