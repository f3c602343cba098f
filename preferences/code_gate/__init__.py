"""The code gate: certifies that a program is really good before a model is trained on it.

    with Sandboxes() as sandboxes:
        certificate = certify(program, contract, "sampled", sandboxes)
        certificate.certified  # True only when all eight layers passed
        certificate.reason     # else which layers refused it, and the input or line that failed

    1 invariant      what the contract says of every result holds on drawn inputs
    2 differential   equal to the reference on drawn inputs
    3 property       the contract's properties, and the reference, on hypothesis' inputs, shrunk
    4 fuzz           a fixed adversarial catalogue: raises only where the reference raises
    5 semantic       undefined names, constant status, discarded steps, dead checks, swallowed exceptions, known answers
    6 dataflow       samples lost on rejection, loops of one turn, parameters never read
    7 edge_cases     the ends of the domain, extreme functions among them: no nan, inf or exception of its own
    8 coverage       80 % of branches and of statements run under all these inputs

Every layer runs, also after one that refused, so that `catches` can tell what each caught alone. Programs and
references run in the sandbox only, and programs are parsed in a process of their own. SandboxBroken says nothing of a
program: certify it again.
"""

from common.digests import digest_of
from preferences.certify.certificate import Catch, Catches, Certificate, catches
from preferences.certify.receipt import Receipt
from preferences.code_gate.contract import Case, Contract
from preferences.code_gate.contract_bench import Sandboxes
from preferences.code_gate.layers import LAYERS
from preferences.code_gate.parameter_kinds import KINDS, ParameterKind
from preferences.code_gate.program_under_test import CannotRun, ProgramUnderTest
from preferences.code_gate.properties import PROPERTIES, Property
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
    "ParameterKind",
    "Property",
    "Receipt",
    "Sandboxes",
    "catches",
    "certify",
]


def certify(
    program: str, contract: Contract, origin: Origin, sandboxes: Sandboxes, seed: int = 0, refused: str = ""
) -> Certificate:
    """The program through all eight layers.

    seed: of the drawn inputs. refused: why the answer that holds it is refused, whatever the program does. Programs of
    one contract one after the other share the reference's work. BadInput for an unknown origin, or a contract whose
    reference does not keep it; SandboxBroken when the machinery failed.
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
