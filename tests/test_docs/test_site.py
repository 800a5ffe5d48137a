"""The documentation site builds, whole and sufficient to itself."""
import functools
import os
import re
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from helpers import BROWSER_TIMEOUT_MS, REPO_ROOT, open_chromium, run_command

pytest.importorskip('mkdocs', reason='the [docs] extra is not installed')


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The site, built as users build it."""
    out = tmp_path_factory.mktemp('site')
    # fails on any warning: links, anchors, pages that nav lacks; with --quiet
    # warnings would not count
    run_command(
        *(sys.executable, '-m', 'mkdocs', 'build', '--strict'),
        *('--config-file', REPO_ROOT / 'mkdocs.yml', '--site-dir', out),
        cwd=out)
    return out


class _Loaded(HTMLParser):
    """Addresses that a browser loads by itself to show a page."""

    def __init__(self):
        super().__init__()
        self.urls = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'link' and attrs.get('rel') in ('canonical', 'prev', 'next'):
            return
        names = ('src', 'srcset', 'href') if tag == 'link' else ('src',
                                                                 'srcset')
        self.urls += [attrs[name] for name in names if name in attrs]


def pages(site):
    return {
        path.relative_to(site).as_posix(): path.read_text()
        for path in site.rglob('*.html')
    }


def test_pages_load_nothing_from_elsewhere(site):
    outside, missing = [], []
    for name, text in pages(site).items():
        parser = _Loaded()
        parser.feed(text)
        for url in parser.urls:
            if re.match(r'(https?:)?//', url):
                outside.append((name, url))
            elif name != '404.html' and not url.startswith('data:'):
                target = (site / name).parent / url.split('?')[0]
                if not target.exists():
                    missing.append((name, url))
    assert outside == []
    assert missing == []
    for path in site.rglob('*.css'):
        assert not re.search(r'url\(["\']?(https?:)?//',
                             path.read_text()), path


def test_each_document_and_link_out_of_docs_is_there(site):
    for document in REPO_ROOT.glob('docs/**/*.md'):
        name = document.relative_to(REPO_ROOT / 'docs').with_suffix('')
        assert (site / name / 'index.html').is_file()
    home = (site / 'index.html').read_text()
    for page in ('how_to/train_on_your_own_data/', 'configs/'):
        assert f'href="{page}"' in home
    assert (site / 'configs/lgh_rhd_official.py').is_file()


def test_formulas_are_drawn(site):
    for name, text in pages(site).items():
        assert 'arithmatex' not in text, name
        for command in (r'\mathrm', r'\sum'):
            # TeX stays for screen readers alone
            outside = re.sub(r'aria-label="[^"]*"', '', text)
            assert command not in outside, name
    method = (site / 'method/index.html').read_text()
    formulas = re.findall(
        r'class="formula" role="img" aria-label="([^"]+)">'
        r'(.*?)</(?:div|span)>', method, re.DOTALL)
    assert any(r'\tau' in tex for tex, _ in formulas)
    assert all('<path' in drawn for _, drawn in formulas)
    # one of two lines
    head = (site / 'api/models/index.html').read_text()
    assert re.search(r'</svg><br><svg', head)


def test_the_api_has_each_public_name(site):
    import lgh_mmpose
    text = ''.join(text for name, text in pages(site).items()
                   if name.startswith('api/'))
    absent = []
    for package in sorted(Path(lgh_mmpose.__file__).parent.glob('*/')):
        if not (package / '__init__.py').is_file():
            continue
        module = f'lgh_mmpose.{package.name}'
        __import__(module)
        absent += [
            f'{module}.{name}'
            for name in getattr(sys.modules[module], '__all__', ())
            # constants may go without a docstring, and so without an entry
            if callable(getattr(sys.modules[module], name))
            and f'id="{module}.{name}"' not in text
        ]
    assert absent == []
    # RST's marks are gone
    assert not re.search(r':(class|func|meth|math|data):', text)
    assert '.. math::' not in text
    # a product of sizes is no emphasis
    assert '(B, G*C, H, W) -&gt; (B, G*C, H, W)' in text
    assert not re.search(r'\w<em>\w', text)


# -- in a browser ------------------------------------------------------------

PAGES = {'start': '', 'method': 'method/', 'api': 'api/models/'}


class _QuietHandler(SimpleHTTPRequestHandler):

    def log_message(self, *_):
        pass


@pytest.fixture(scope='module')
def address(site):
    """Where the site is served: browsers let no script read files."""
    handler = functools.partial(_QuietHandler, directory=str(site))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()


@pytest.fixture(scope='module')
def browser():
    with open_chromium() as browser:
        yield browser


def luminance(css):
    return float(
        np.array(re.findall(r'[\d.]+', css)[:3], float) @ (.299, .587, .114))


@pytest.mark.parametrize('width, scheme', [(400, 'dark'), (1200, 'light')])
def test_pages_are_readable_in_a_browser(browser, address, width, scheme):
    context = browser.new_context(
        viewport=dict(width=width, height=900), color_scheme=scheme)
    context.set_default_timeout(BROWSER_TIMEOUT_MS)
    page = context.new_page()
    complaints, outside = [], []

    def answer(route):
        if route.request.url.startswith(address):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    page.route('**/*', answer)
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on(
        'console', lambda message: message.type == 'error' and complaints.
        append(message.text))
    for name, path in PAGES.items():
        page.goto(address + path, wait_until='load')
        if os.environ.get('SCREENSHOTS'):
            page.screenshot(
                path=Path(os.environ['SCREENSHOTS']) /
                f'site_{width}_{scheme}_{name}.png')
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        # what is wider than the page scrolls for itself
        assert page.evaluate("""() => {
          const box = document.querySelector('article');
          return [...box.querySelectorAll('p, li, h1, h2, h3, img')].filter(
            x => x.offsetParent && !x.closest('table, .formula, pre')
              && x.getBoundingClientRect().right > innerWidth + 1
          ).map(x => x.outerHTML.slice(0, 80));
        }""") == [], name
        # links are known by more than their colour
        assert page.evaluate("""() => [...document.querySelectorAll(
            'article p a:not(.headerlink)')].filter(
              x => getComputedStyle(x).textDecorationLine !== 'underline'
            ).length""") == 0, name
        back, text = map(
            luminance,
            page.evaluate("""() => {
              const article = document.querySelector('article');
              const style = getComputedStyle(article.querySelector('p'));
              return [getComputedStyle(document.body).backgroundColor,
                      style.color];
            }"""))
        assert (back < 60 and text > 100) if scheme == 'dark' else \
            (back > 200 and text < 130), (name, back, text)
    page.goto(f'{address}method/')
    formula = page.locator('.formula').first
    assert formula.bounding_box()['width'] > 5
    assert formula.get_attribute('aria-label')
    if width > 1000:  # the search is a script of the site's own
        page.locator('.md-search__input').first.click()
        page.keyboard.type('selector')
        page.wait_for_selector('.md-search-result__item', state='attached')
    assert complaints == []
    assert outside == []
    context.close()
