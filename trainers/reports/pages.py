"""Self-contained HTML pages with embedded images, from templates. Public names: render, image, data_uri."""

import base64
from collections.abc import Callable
from typing import Any

import jinja2
from matplotlib.figure import Figure

from emogan import drawing
from trainers.reports import plots


def render(template: str, **values: Any) -> str:
    """Renders a template of trainers/reports/templates. Escapes text; a missing value is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trainers.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(colours=plots.COLOURS, **values)


def image(draw: Callable[[], Figure], alt: str) -> dict[str, str]:
    """Draws a figure in the light and the dark theme; returns data URIs by theme, and the alternative text as `alt`."""
    drawn = {"alt": alt}
    for name in plots.COLOURS:
        with plots.theme(name):
            drawn[name] = data_uri("image/png", drawing.to_png(draw()))
    return drawn


def data_uri(media_type: str, data: bytes) -> str:
    """Returns a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
