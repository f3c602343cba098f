"""The scenarios of all commands that write.

stores, pairs      the stores of pairs, and the commands on them
finetune           full-length runs: with a stub in place of the trainer, and resumed with the real one
export, promote    what a full-length run is for, with a small model
steering, rescore  a person steers a session, and scores its answers again
ship               all the way, where it goes on
evaluate, other    evaluations; init, prompts, service, report, doctor --repair and the build of a lab
recovery           what a person does after an interruption, and what a folder holds
"""

from bench.faults.scenarios.commands.evaluate import EVALUATIONS
from bench.faults.scenarios.commands.export import EXPORTS
from bench.faults.scenarios.commands.finetune import FULL_RUNS
from bench.faults.scenarios.commands.other import OTHERS
from bench.faults.scenarios.commands.pairs import PAIRS
from bench.faults.scenarios.commands.promote import PROMOTIONS
from bench.faults.scenarios.commands.rescore import RESCORES
from bench.faults.scenarios.commands.ship import SHIPS
from bench.faults.scenarios.commands.steering import STEERING

COMMANDS = (*PAIRS, *FULL_RUNS, *EXPORTS, *PROMOTIONS, *SHIPS, *EVALUATIONS, *STEERING, *RESCORES, *OTHERS)
