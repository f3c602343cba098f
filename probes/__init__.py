"""What happens: data, the model, training, generation, scoring, readings, and the runners that run probes."""

import logging

# At import, bitsandbytes warns about kernels that it lacks, even if nothing is quantised; users cannot change that.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
