"""Recorded readings of real training with 40 seeds per recipe: nights are resampled from them, with known true effects.

    python -m bench.recorded record      # train what is missing (resumable), then write the pool and the truth table
    python -m bench.recorded truth       # print the truth table of the existing pool

plan.py has the recipes and seeds, record.py trains them, pool.py has their readings, truth.py their true effects.
"""
