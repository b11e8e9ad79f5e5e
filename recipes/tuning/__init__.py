"""What recipes.tuning.search is made of.

`options` what can be chosen, `predictors` those of several context lengths,
`trials` how a trial builds and trains its model, `chief` the process that
serves several workers.
"""
