import re
import shutil
import sys
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from report_pages import MARKUP, page_data
from work_dir_writer import JOINT_NAMES

from lgh_mmpose.report import layout, write_report
from lgh_mmpose.report.layout import lay_out_page
from lgh_mmpose.report.pieces import (Chart, Section, Table, draw_hand,
                                      new_figure)

HOSTILE = f'"\'>{MARKUP}{{{{ 7 * 7 }}}}'
FIGURES = Section('figures', 'Figures',
                  dict(table=Table(['a'], []), no_baseline=''))


class Elements(HTMLParser):
    """The elements of a page, their texts but for scripts, and attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [value for _, value in attrs]

    def handle_data(self, data):
        if self.tags[-1:] != ['script']:
            self.texts.append(data)


def page_with(text):
    """A page with a text in each place that takes one from outside."""
    table = Table([text, text], [[text, text]], caption=text)
    drawing = draw_hand(JOINT_NAMES, np.zeros((21, 3), np.uint8), [text] * 21,
                        [text] * 21)
    chart = Chart('pck-chart', new_figure([], 'x', 'y'), table)
    return lay_out_page(text, [(text, text)], [
        Section('figures', text, dict(table=table, no_baseline=text)),
        Section(
            'pck',
            text,
            dict(chart=chart, aligned=text, dotted=True, published=text),
            [chart],
            script=dict(samples=text)),
        Section(
            'joints',
            'Joints',
            dict(
                drawing=drawing,
                aligned=text,
                low=text,
                high=text,
                worst=text,
                by_finger=table,
                by_joint=table),
            link=text),
    ])


def test_no_text_from_outside_becomes_markup(tmp_path):
    page = page_with(HOSTILE)
    harmless, hostile = Elements(page_with('harmless')), Elements(page)
    assert hostile.tags == harmless.tags
    assert 'img' not in hostile.tags
    # and each is told as it is, in the text and to screen readers
    for kind in ('texts', 'attributes'):
        told, expected = (' '.join(filter(None, getattr(page, kind)))
                          for page in (hostile, harmless))
        assert told.count(HOSTILE) == expected.count('harmless') > 5
    assert len(hostile.attributes) == len(harmless.attributes)
    (tmp_path / 'page.html').write_text(page, encoding='utf-8')
    assert page_data(tmp_path / 'page.html')['samples'] == HOSTILE


def test_names_from_files_are_no_markup(report):
    text = report.read_text(encoding='utf-8')
    assert MARKUP not in text
    assert '<img src=x' not in text
    assert '&lt;img src=x onerror=alert(1)&gt;' in text


def test_scripts_and_styles_are_no_templates(tmp_path, monkeypatch):
    shutil.copytree(layout._TEMPLATES, tmp_path / 'templates')
    code = "if (1 < 2 && '{{ title }}' > {#}) { `${x}` }"
    (tmp_path / 'templates/page.js').write_text(code)
    monkeypatch.setattr(layout, '_TEMPLATES', tmp_path / 'templates')
    assert f'<script>\n{code}\n</script>' in lay_out_page('a', [], [FIGURES])


def test_what_a_template_misses_is_an_error():
    """Else there would be an empty place on the page."""
    with pytest.raises(jinja2.UndefinedError, match='no_baseline'):
        lay_out_page('a', [],
                     [FIGURES._replace(data=dict(table=Table(['a'], [])))])


def test_numbers_that_json_does_not_know_are_an_error():
    """A browser could not read any of the page's data."""
    with pytest.raises(ValueError, match='JSON'):
        lay_out_page('a', [], [FIGURES._replace(script=dict(a=np.nan))])


@pytest.mark.parametrize('module, sentence', [
    ('plotly.graph_objects', 'drawn by Plotly'),
    ('jinja2', 'laid out by Jinja'),
])
def test_what_is_not_installed_is_named_first(module, sentence, monkeypatch):
    """Before the test of a network, and before anything is read."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
            ImportError, match=rf'{sentence}.*lgh_mmpose\[report\]'):
        write_report('nowhere', 'nowhere/report.html')


def test_keys_reach_what_scrolls_and_what_turns(report):
    """Screen readers hand arrow keys to an application, not to an image."""
    text = report.read_text(encoding='utf-8')
    view = re.search('<div id="hand3d"[^>]*>', text)[0]
    assert 'role="application"' in view and 'tabindex="0"' in view
    assert 'aria-roledescription="' in view
    scrolls = re.findall('<div class="scroll"[^>]*>', text)
    assert len(scrolls) > 5
    assert all('tabindex="0"' in tag and 'aria-label="' in tag
               for tag in scrolls)
