"""A file of contracts: what the gate holds the answer to each prompt to.

A line of JSONL has ``prompt``, the text that is asked, and ``contract``, in the form of gate/contract.py.
"""

from collections.abc import Mapping
from pathlib import Path

from common.errors import BadInput
from preferences.code_gate import Contract
from probes.inputs.text import read_jsonl


def load_contracts(path: Path) -> Mapping[str, Contract]:
    """By the text of the prompt; BadInput names the line that is none."""
    found: dict[str, Contract] = {}
    for line, row in read_jsonl(path):
        prompt, contract = row.get("prompt"), row.get("contract")
        if not isinstance(prompt, str) or not isinstance(contract, dict):
            raise BadInput(f"{path}, line {line} needs a text prompt and an object contract; write both")
        if prompt in found:
            raise BadInput(f"{path}, line {line} has the prompt of an earlier line, and one contract holds; keep one")
        try:
            found[prompt] = Contract.from_json(contract)
        except BadInput as error:
            raise BadInput(f"{path}, line {line}: {error}") from None
    if not found:
        raise BadInput(f"{path} holds no contracts; give a file with some")
    return found
