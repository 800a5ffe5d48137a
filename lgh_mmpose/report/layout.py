"""Lays a report out as HTML, by the templates beside this module."""
import json
from pathlib import Path
from typing import Any, List, Sequence, Tuple

from .pieces import Section

_TEMPLATES = Path(__file__).with_name('templates')


def import_jinja():
    """The module ``jinja2``.

    Raises:
        ImportError: If Jinja is not installed, with the extra to install.
    """
    try:
        import jinja2
    except ImportError:
        raise ImportError('reports are laid out by Jinja: '
                          "pip install 'lgh_mmpose[report]'") from None
    return jinja2


def lay_out_page(title: str, facts: List[Tuple[str, Any]],
                 sections: Sequence[Section]) -> str:
    """The page as one HTML document.

    Args:
        title (str): Its title.
        facts (list[tuple[str, Any]]): Names and facts, for its top.
        sections (Sequence[Section]): Its sections, in order.

    Returns:
        str: The document. Whatever comes from outside is escaped; a content
        security policy forbids the page to ask for anything.
    """
    jinja2 = import_jinja()
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True)
    environment.policies['json.dumps_kwargs'] = dict(allow_nan=False)
    script = dict(
        charts={
            chart.key: json.loads(chart.figure.to_json())
            for section in sections
            for chart in section.charts
        })
    for section in sections:
        script.update(section.script)

    def source(name: str) -> Markup:
        """A file of ours, as it is."""
        return Markup((_TEMPLATES / name).read_text(encoding='utf-8'))

    return environment.get_template('page.html').render(
        title=title,
        facts=facts,
        sections=sections,
        css=source('page.css'),
        js=source('page.js'),
        plotly=Markup(get_plotlyjs()),
        script=script)
