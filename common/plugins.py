"""What other packages add to nightlane, by entry points of a group such as ``nightlane.scorers``."""

from importlib.metadata import EntryPoint, entry_points


def plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of ``nightlane.GROUP`` by name; ``load`` of one imports what it names."""
    return {point.name: point for point in entry_points(group=f"nightlane.{group}")}
