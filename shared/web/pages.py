"""Pages from templates: Jinja2, everything escaped, an unknown name an error instead of an empty spot.

What is put into a page is harmless whether its template thought of that or not: no control characters, and nothing
that turns the direction of what follows.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from shared.formats.clean import plain_lines


def _harmless(value: Any) -> Any:
    """What a template puts out. Markup was made by us, of what is harmless."""
    return plain_lines(value) if type(value) is str else value


class Pages:
    """The templates of `package`, with `filters` and `globals` known in each."""

    def __init__(self, package: str, filters: Mapping[str, Any], globals: Mapping[str, Any]) -> None:
        self._environment = Environment(
            loader=PackageLoader(package, "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_harmless,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(filters)
        self._environment.globals.update(globals)

    @property
    def names(self) -> list[str]:
        return self._environment.list_templates()

    def render(self, template: str, **values: Any) -> str:
        """HTML of `template`. Raises jinja2.UndefinedError when it asks for what it was not given."""
        return self._environment.get_template(template).render(**values)
