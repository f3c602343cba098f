"""How often chance alone gives a KEEP: simulated readings without any effect, through the interval that decides.

    python -m bench.intervals [--trials 4000]

Variances are relative to that of a single difference (1); prompts vary by 0.3, seeds as the row says. Nominal: 2.5 %.
"""

import argparse

import numpy

from probes.comparison import crossed_standard_error, t_quantile

PROMPTS = 24
PROMPT_VARIANCE = 0.3
SEED_VARIANCES = (0.0, 0.03, 0.1, 0.3, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    print(f"false KEEPs, {trials} trials a cell, {PROMPTS} prompts, 95 % intervals")
    print("seed variance  " + "".join(f"{variance:>8g}" for variance in SEED_VARIANCES))
    for seeds in (2, 3, 5):
        rates = (false_keeps(seeds, variance, trials) for variance in SEED_VARIANCES)
        print(f"{seeds} seeds        " + "".join(f"{rate:>8.1%}" for rate in rates))


def false_keeps(seeds: int, seed_variance: float, trials: int) -> float:
    """Share of trials whose whole interval lies above 0 although nothing does."""
    generator = numpy.random.default_rng([seeds, int(1000 * seed_variance)])
    kept = 0
    for _ in range(trials):
        by_seed = generator.normal(0, seed_variance**0.5, (seeds, 1))
        by_prompt = generator.normal(0, PROMPT_VARIANCE**0.5, (1, PROMPTS))
        differences = by_seed + by_prompt + generator.normal(0, 1, (seeds, PROMPTS))
        error, freedom = crossed_standard_error(differences)
        kept += differences.mean() - t_quantile(0.95, freedom) * error > 0
    return kept / trials


if __name__ == "__main__":
    main()
