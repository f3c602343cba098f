"""The tasks of microcoder: every template, by category.

A template (template.py) becomes many tasks: names, constants and wordings are drawn from a seeded generator.
"""

from labs.microcoder.tasks import arithmetic, conditions, edge_cases, imports, lists, strings
from labs.microcoder.tasks.template import LabCase, Task, Template

TEMPLATES: tuple[Template, ...] = (
    *arithmetic.TEMPLATES,
    *strings.TEMPLATES,
    *lists.TEMPLATES,
    *conditions.TEMPLATES,
    *edge_cases.TEMPLATES,
    *imports.TEMPLATES,
)
CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(template.category for template in TEMPLATES))

__all__ = ["CATEGORIES", "TEMPLATES", "LabCase", "Task", "Template"]
