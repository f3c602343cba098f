"""One thread for the linear algebra of deciding: its tables are small, and threads that wait for each other cost ten
times the processor. To be said before numpy is imported; what a user has set is left alone. Workers have their own."""

import os

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
