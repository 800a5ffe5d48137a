import re

import pytest
from report_pages import MARKUP


def test_names_from_files_are_no_markup(report):
    text = report.read_text(encoding='utf-8')
    assert MARKUP not in text
    assert '<img src=x' not in text
    assert '&lt;img src=x onerror=alert(1)&gt;' in text


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
