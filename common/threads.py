"""Limits the threads of numeric libraries."""

import os

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """Use one thread for the decision rule: its matrices are small, and threads that wait for each other cost ten times
    the CPU time. Call it before numpy is imported. Settings of the user are kept; workers set their own."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
