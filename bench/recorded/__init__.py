"""Real training, recorded: readings of recipes whose truth is known from 40 training seeds, to resample nights from.

    python -m bench.recorded record      # train what is missing (resumable), then write the pool and the truth table
    python -m bench.recorded truth       # print the truth table of the pool that is there

plan.py says which recipes and seeds, record.py trains them, pool.py gives them back as readings, truth.py sums them up.
"""
