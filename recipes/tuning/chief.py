"""The process that serves several workers, and how it gives up."""

import os
import threading
import time


def is_chief():
    """Whether this process serves workers."""
    return "KERASTUNER_ORACLE_IP" in os.environ and not is_worker()


def is_worker():
    """Whether this process is a worker of a chief."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in name


def serve(tuner, minutes):
    """Gives trials to the workers until none is left.

    KerasTuner's server waits for ever for a worker that died, so it runs in a
    thread that the process does not wait for.

    Returns:
        False if no worker was heard of for so many minutes.
    """
    error = []

    def target():
        try:
            tuner.search(verbose=1)
        except BaseException as raised:  # told by the main thread
            error.append(raised)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    heard, since = None, time.monotonic()
    while thread.is_alive():
        thread.join(0.5)
        now = signs_of_life(tuner.oracle)
        if now != heard:
            heard, since = now, time.monotonic()
        if time.monotonic() - since > 60 * minutes:
            return False
    if error:
        raise error[0]
    return True


def signs_of_life(oracle):
    """What every request of a worker that begins or ends a trial changes."""
    return (
        len(oracle.start_order),
        len(oracle.end_order),
        sorted(oracle.ongoing_trials),
        sorted(oracle.tuner_ids),
    )
