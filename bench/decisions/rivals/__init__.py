"""The rivals, one entry each. The docstring of a rival says what it is and which paper or program it is from."""

from bench.decisions.night import Policy
from bench.decisions.rivals.gaussian_process import GaussianConfirmed, GaussianTopTwo
from bench.decisions.rivals.greedy import GreedyFresh, GreedyStale, MadConfidence
from bench.decisions.rivals.paired import MeanOfThree, Race, SequentialTest
from bench.decisions.rivals.sampling import Asha, Oracle, RandomSearch
from bench.decisions.rivals.tpe import GpSampler, Tpe, TpeConfirmed

RIVALS: tuple[Policy, ...] = (
    GreedyStale(),
    GreedyFresh(),
    MeanOfThree(),
    MadConfidence(),
    SequentialTest(),
    Race(),
    Tpe(),
    TpeConfirmed(),
    GpSampler(),
    GaussianTopTwo(),
    GaussianConfirmed(),
    Asha(),
    RandomSearch(),
    Oracle(),
)
