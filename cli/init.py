"""``nightlane init``: a commented study with example data, copied from cli/example_study/."""

from pathlib import Path

from common.errors import BadInput

EXAMPLE = Path(__file__).with_name("example_study")


def write_template(directory: Path) -> list[Path]:
    """Copy the example study; BadInput when a file of it would be overwritten. Returns what was written."""
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{directory} cannot be made a folder ({error.strerror}); name a new or empty one") from None
    examples = sorted(path for path in EXAMPLE.iterdir() if path.is_file())
    for example in examples:
        if (directory / example.name).exists():
            raise BadInput(f"{directory / example.name} exists and init overwrites nothing; name a new or empty folder")
    for example in examples:
        copy = directory / example.name
        copy.write_bytes(example.read_bytes())
        written.append(copy)
    return written
