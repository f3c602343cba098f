"""The seccomp filter, run here on system calls that nobody makes."""

import errno
import functools
import struct

import pytest

from sandbox.kernel import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, ABSENT = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
MACHINES = ("x86_64", "aarch64")
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@functools.cache
def filter_of(machine: str) -> list[tuple[int, ...]]:
    return [struct.unpack("=HBBI", instruction) for instruction in seccomp.instructions(machine)]


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do (linux/filter.h)."""
    code = filter_of(machine)
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, ARCHITECTURES[machine] if architecture is None else architecture, 0, *words)
    place = loaded = 0
    while True:
        what, if_true, if_false, operand = code[place]
        place += 1
        match what:
            case 0x20:
                (loaded,) = struct.unpack_from("=I", data, operand)
            case 0x05:
                place += operand
            case 0x06:
                return operand
            case _:
                holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[what]
                place += if_true if holds else if_false


@pytest.mark.parametrize(("column", "machine"), [*enumerate(MACHINES)])
def test_only_the_listed_calls_are_allowed_whatever_their_arguments(column: int, machine: str) -> None:
    always = {numbers[column] for numbers in seccomp._ALLOWED.values()}
    judged = {pair[column] for pair, _, _ in seccomp._BY_VALUE.values()}
    opening = {numbers[column] for numbers, _ in seccomp._OPEN.values()}
    for number in range(700):
        found = verdict(machine, number, *[0x7777] * 6)
        expected = ALLOW if number in always else ABSENT if number in seccomp._ABSENT else REFUSE
        assert found == expected, number
        assert number in judged | opening | {seccomp._READ_LIMITS[column]} or verdict(machine, number) == expected, (
            number
        )


@pytest.mark.parametrize(("column", "machine"), [*enumerate(MACHINES)])
def test_calls_that_are_judged_by_an_argument_are_allowed_with_its_listed_values_only(
    column: int, machine: str
) -> None:
    for pair, index, values in seccomp._BY_VALUE.values():
        for value in range(0x600):
            found = verdict(machine, pair[column], *[0x7777] * index, value)
            assert found == (ALLOW if value in values else REFUSE), (pair, value)
        assert all(verdict(machine, pair[column], *[0] * index, value) == ALLOW for value in values)
    for opening, index in seccomp._OPEN.values():
        if (number := opening[column]) is not None:
            assert verdict(machine, number, *[0] * index, 0o2000000) == ALLOW
            assert all(verdict(machine, number, *[0] * index, flag) == REFUSE for flag in (1, 2, 64, 512, 1024))
    assert verdict(machine, seccomp._READ_LIMITS[column], 0, 7, 0) == ALLOW
    for arguments in ((1, 7, 0), (0, 7, 1), (0, 7, 1 << 32)):
        assert verdict(machine, seccomp._READ_LIMITS[column], *arguments) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_architecture_kill(machine: str) -> None:
    assert verdict(machine, 0, architecture=0x40000003) == KILL
    assert machine != "x86_64" or verdict(machine, 0x40000000) == KILL
