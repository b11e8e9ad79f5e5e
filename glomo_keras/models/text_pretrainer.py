import keras

from glomo_keras.metrics import Perplexity
from glomo_keras.models.pretrainer import Pretrainer
from glomo_keras.models.text_predictor import check_of_texts
from glomo_keras.utils import validation as check


class TextPretrainer(Pretrainer):
    """Base class for pretrainers of texts: their checks and metrics.

    Args:
        graph_predictor: g, of texts.
        num_candidates: See `ContextPretrainer`.
        *options: Other arguments of `Pretrainer`.
    """

    def __init__(self, graph_predictor, num_candidates, *options):
        check.check_positive_or_none(num_candidates=num_candidates)
        check_of_texts(graph_predictor)
        super().__init__(graph_predictor, *options)
        self.num_candidates = num_candidates
        self.trackers = {
            "forward_loss": Perplexity(name="forward_perplexity"),
            "backward_loss": Perplexity(name="backward_perplexity"),
            "edge_density": keras.metrics.Mean(name="edge_density"),
            "empty_rows": keras.metrics.Mean(name="empty_rows"),
        }

    def get_config(self):
        return {**super().get_config(), "num_candidates": self.num_candidates}
