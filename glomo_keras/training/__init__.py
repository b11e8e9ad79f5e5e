"""What every recipe shares: the run folder and resumable training."""

from glomo_keras.training.atomic_file import atomic_file
from glomo_keras.training.fit_resumable import fit_resumable
from glomo_keras.training.history_csv import read_history, write_history
from glomo_keras.training.resume_training import ResumeTraining
from glomo_keras.training.run_folder import RunFolder

__all__ = [
    "ResumeTraining",
    "RunFolder",
    "atomic_file",
    "fit_resumable",
    "read_history",
    "write_history",
]
