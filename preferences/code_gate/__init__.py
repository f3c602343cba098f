"""The code gate: certifies that a program is correct before a model is trained on it.

    with Sandboxes() as sandboxes:
        certificate = certify(program, contract, "sampled", sandboxes)
        certificate.certified  # True only when all eight layers passed
        certificate.reason     # else which layers refused it, and the input or line that failed

    1 invariant      the contract's invariants hold on drawn inputs
    2 differential   equal to the reference on drawn inputs
    3 property       the contract's properties, and the reference, on hypothesis' inputs, shrunk
    4 fuzz           a fixed adversarial catalogue: raises only where the reference raises
    5 semantic       undefined names, constant status, discarded steps, dead checks, swallowed exceptions, hard-coding
    6 dataflow       samples lost on rejection, loops that never repeat, parameters never read
    7 edge_cases     the ends of the domain, with extreme functions: no nan, inf or exception of its own
    8 coverage       80 % of branches and of statements run under all these inputs

All layers run, even after one has refused, so that `catches` can count what each layer alone caught. Programs and
references run only in the sandbox, and programs are parsed in a process of their own. SandboxBroken is a failure of
the machinery, not of the program: certify it again.

layers/          one file per layer          contract/        what a program must do: kinds of parameters, properties
execution/       runs it in the sandbox      static_checks/   reads it without running it
"""

from common.digests import digest_of
from preferences.certify.certificate import Catch, Catches, Certificate, catches
from preferences.certify.receipt import Receipt
from preferences.code_gate.contract.contract import Case, Contract, load_contracts
from preferences.code_gate.contract.parameter_kinds import KINDS, ParameterKind
from preferences.code_gate.contract.properties import PROPERTIES, Property
from preferences.code_gate.execution.contract_bench import ContractSandboxes
from preferences.code_gate.execution.program_under_test import CannotRun, ProgramUnderTest
from preferences.code_gate.layers import LAYERS
from preferences.store.provenance import Origin, origin_of

__all__ = [
    "KINDS",
    "LAYERS",
    "PROPERTIES",
    "Case",
    "Catch",
    "Catches",
    "Certificate",
    "Contract",
    "ContractSandboxes",
    "ParameterKind",
    "Property",
    "Receipt",
    "catches",
    "certify",
    "load_contracts",
]


def certify(
    program: str, contract: Contract, origin: Origin, sandboxes: ContractSandboxes, seed: int = 0, refused: str = ""
) -> Certificate:
    """The program through all eight layers.

    seed: of the drawn inputs. refused: why the answer that contains it is refused, whatever the program does. Certify
    the programs of one contract in a row: its reference then runs once. BadInput for an unknown origin, or a contract
    that its own reference breaks; SandboxBroken when the machinery failed.
    """
    digest = digest_of(program)
    if origin_of(origin) == "mechanical":
        return Certificate("code", digest, contract.digest, origin, seed, ())
    if refused:
        receipts = tuple(Receipt(layer, False, {}, refused) for layer in LAYERS)
    else:
        tested = ProgramUnderTest(program, sandboxes.bench(contract, seed))
        receipts = tuple(_receipt(layer, tested) for layer in LAYERS)
    return Certificate("code", digest, contract.digest, origin, seed, receipts)


def _receipt(layer: str, program: ProgramUnderTest) -> Receipt:
    try:
        return LAYERS[layer](program)
    except CannotRun as why:
        return Receipt(layer, False, {}, str(why))
