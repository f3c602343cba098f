"""What happens: data, the model, training, generation, scoring, readings, and the runners that run probes."""

import logging

# It says at its import which kernels it lacks, also where nothing is quantised; a person can do nothing about that.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
