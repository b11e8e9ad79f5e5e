"""Run folders, training that resumes after a kill, `transfer_perplexity`.

```python
options = tyro.cli(Options)
with RunFolder(options.folder).start(options, harmless=["folder"]) as folder:
    if folder.finished:
        print(f"Finished before: {folder.read_metrics()}")
    else:
        keras.utils.set_random_seed(options.seed)
        model = build_model(options)
        history = fit_resumable(
            model,
            lambda first_step: make_dataset(options, first_step),
            epochs=options.epochs,
            steps_per_epoch=options.steps_per_epoch,
            run_folder=folder,
        )
        folder.write_metrics(evaluate(model))
    report(folder)
```
"""

from glomo_keras.training.fit_resumable import fit_resumable
from glomo_keras.training.history import check_finite
from glomo_keras.training.history import read_history
from glomo_keras.training.history import write_history
from glomo_keras.training.process_job import check_same
from glomo_keras.training.process_job import current_job
from glomo_keras.training.process_job import decided_by_first
from glomo_keras.training.resume_training import ResumeTraining
from glomo_keras.training.run_folder import RunFolder
from glomo_keras.training.run_processes import run_processes
from glomo_keras.training.transfer_perplexity import transfer_perplexities
from glomo_keras.training.transfer_perplexity import transfer_perplexity
from glomo_keras.utils.files import atomic_file

__all__ = [
    "ResumeTraining",
    "RunFolder",
    "atomic_file",
    "check_finite",
    "check_same",
    "current_job",
    "decided_by_first",
    "fit_resumable",
    "read_history",
    "run_processes",
    "transfer_perplexities",
    "transfer_perplexity",
    "write_history",
]
