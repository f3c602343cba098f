"""Recorded readings of real training: nights are resampled from recipes whose true effects 40 training seeds show.

    python -m bench.recorded record      # train what is missing (resumable), then write the pool and the truth table
    python -m bench.recorded truth       # print the truth table of the existing pool

plan.py has the recipes and seeds, record.py trains them, pool.py has their readings, truth.py their true effects.
"""
