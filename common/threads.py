"""How many threads the linear algebra of a process uses."""

import os

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """For the linear algebra of deciding: its tables are small, and threads that wait for each other cost ten times the
    processor. To be said before numpy is imported; what a user has set is left alone, and workers have their own."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
