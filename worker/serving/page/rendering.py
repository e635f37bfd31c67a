"""The templates: everything that comes from a post is escaped, and named where it would hide or steer."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from mmorient.explain.visible import short, visible


def environment() -> Environment:
    """Return what renders the templates of this folder."""
    made = Environment(
        loader=PackageLoader("worker.serving.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "capital": lambda name: name[:1].upper() + name[1:],
        "plain": lambda name: visible(str(name)).replace("_", " "),
        "said": lambda text: visible(str(text)),
        "short": lambda text: short(str(text)),
        "percent": percent,
        "width": lambda share: f"{100 * share:.2f}%",
        "signed": lambda change: f"{100 * change:+.1f}".replace("-", "\u2212"),
    }
    return made


def percent(share: float) -> str:
    """Return a share as a person reads it: never 0 % or 100 % of what is neither."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


class Renderer:
    """Renders templates.

    Args:
        always: what every template is given.
    """

    def __init__(self, always: Mapping[str, Any]) -> None:
        self._environment = environment()
        self._environment.globals |= always

    def text(self, template: str, /, **values: Any) -> Markup:
        """Return a template, rendered; another one takes it as it is."""
        return Markup(self._environment.get_template(template).render(**values))  # noqa: S704 - escaped there

    def answer(self, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
        """Return the answer that is a template, rendered."""
        return HTMLResponse(self.text(template, **values), status_code=status)
