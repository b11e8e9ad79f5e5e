"""What pretrainers and the probe have in common."""

import numpy as np
import pytest

import glomo_keras as gk
from tests.models.small_models import inputs


def test_targets_are_refused():
    model = gk.models.TransferProbe(9, None, embedding_dim=4)
    model.compile("sgd")
    with pytest.raises(ValueError, match="TransferProbe computes its own los"):
        model.fit(inputs(), np.ones(2), verbose=0)
