"""Data: text corpora and vocabularies, tasks, images and word vectors.

For pretraining: corpora, tokenizers, vocabularies and training windows, and
batches of images. For tasks: IMDB, MultiNLI and SQuAD 1.1, batches of their
examples, word vectors and published ELMo weights.

TensorFlow is imported when it is first needed: to tokenise, and for a data
set on that backend.
"""

from glomo_keras.data.batches import BatchPart
from glomo_keras.data.batches import PyBatches
from glomo_keras.data.batches import as_dataset
from glomo_keras.data.images.image_batches import CropBatches
from glomo_keras.data.images.image_batches import EvaluationCrops
from glomo_keras.data.images.image_batches import EvaluationImages
from glomo_keras.data.images.image_batches import LabelledBatches
from glomo_keras.data.images.image_files import UnusableImage
from glomo_keras.data.images.image_files import read_image
from glomo_keras.data.images.image_set import ImageSet
from glomo_keras.data.images.image_set import describe_skipped
from glomo_keras.data.images.image_set import prepare_images
from glomo_keras.data.images.image_set import split_rows
from glomo_keras.data.images.image_sources import open_images
from glomo_keras.data.images.image_sources import open_labelled
from glomo_keras.data.tasks.bucketed_batches import BucketedBatches
from glomo_keras.data.tasks.elmo_char_ids import elmo_char_ids
from glomo_keras.data.tasks.evaluation_batches import EvaluationBatches
from glomo_keras.data.tasks.examples import Examples
from glomo_keras.data.tasks.imdb import IMDB_LABELS
from glomo_keras.data.tasks.imdb import Reviews
from glomo_keras.data.tasks.imdb import read_imdb
from glomo_keras.data.tasks.imdb import read_imdb_file
from glomo_keras.data.tasks.imdb import read_imdb_tfds
from glomo_keras.data.tasks.letters import frequent_letters
from glomo_keras.data.tasks.letters import letter_ids
from glomo_keras.data.tasks.lexicon import Lexicon
from glomo_keras.data.tasks.mnli import MNLI_LABELS
from glomo_keras.data.tasks.mnli import SentencePairs
from glomo_keras.data.tasks.mnli import read_mnli
from glomo_keras.data.tasks.mnli import read_mnli_file
from glomo_keras.data.tasks.mnli import read_mnli_tfds
from glomo_keras.data.tasks.spans import cover_span
from glomo_keras.data.tasks.spans import decode_spans
from glomo_keras.data.tasks.spans import span_text
from glomo_keras.data.tasks.squad import SquadQuestions
from glomo_keras.data.tasks.squad import read_squad
from glomo_keras.data.tasks.squad import read_squad_file
from glomo_keras.data.tasks.squad import read_squad_tfds
from glomo_keras.data.tasks.squad_metric import read_predictions
from glomo_keras.data.tasks.squad_metric import squad_scores
from glomo_keras.data.tasks.squad_metric import write_predictions
from glomo_keras.data.text.cleaning import clean_paragraphs
from glomo_keras.data.text.corpus import Corpus
from glomo_keras.data.text.corpus import open_corpus
from glomo_keras.data.text.evaluation_windows import EvaluationWindows
from glomo_keras.data.text.predict_graphs import predict_graphs
from glomo_keras.data.text.prepare_corpus import prepare_corpus
from glomo_keras.data.text.prepare_on_beam import prepare_on_beam
from glomo_keras.data.text.token_stream import TokenStream
from glomo_keras.data.text.tokenized_corpus import TokenizedCorpus
from glomo_keras.data.text.vocabulary import build_vocabulary
from glomo_keras.data.text.windows import WindowSampler
from glomo_keras.data.text.word_tokenizer import WordTokenizer
from glomo_keras.data.vectors.elmo_files import load_elmo
from glomo_keras.data.vectors.word_vectors import WordVectors
from glomo_keras.data.vectors.word_vectors import read_word_vectors
from glomo_keras.utils.files import read_vocabulary
from glomo_keras.utils.files import write_vocabulary

__all__ = [
    "BatchPart",
    "BucketedBatches",
    "Corpus",
    "CropBatches",
    "EvaluationBatches",
    "EvaluationCrops",
    "EvaluationImages",
    "EvaluationWindows",
    "Examples",
    "IMDB_LABELS",
    "ImageSet",
    "LabelledBatches",
    "Lexicon",
    "MNLI_LABELS",
    "PyBatches",
    "Reviews",
    "SentencePairs",
    "SquadQuestions",
    "TokenStream",
    "TokenizedCorpus",
    "UnusableImage",
    "WindowSampler",
    "WordTokenizer",
    "WordVectors",
    "as_dataset",
    "build_vocabulary",
    "clean_paragraphs",
    "cover_span",
    "decode_spans",
    "describe_skipped",
    "elmo_char_ids",
    "frequent_letters",
    "letter_ids",
    "load_elmo",
    "open_corpus",
    "open_images",
    "open_labelled",
    "predict_graphs",
    "prepare_corpus",
    "prepare_images",
    "prepare_on_beam",
    "read_image",
    "read_imdb",
    "read_imdb_file",
    "read_imdb_tfds",
    "read_mnli",
    "read_mnli_file",
    "read_mnli_tfds",
    "read_predictions",
    "read_squad",
    "read_squad_file",
    "read_squad_tfds",
    "read_vocabulary",
    "read_word_vectors",
    "span_text",
    "split_rows",
    "squad_scores",
    "write_predictions",
    "write_vocabulary",
]
