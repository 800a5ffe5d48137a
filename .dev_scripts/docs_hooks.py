"""Hooks of MkDocs: pages from outside ``docs``, and formulas.

Links in the documents are those of the repository, so that they work where
it is browsed; here they are turned into links of the site, in which the
content of ``docs`` lies at the top beside the other documents.
"""
import html
import pathlib
import posixpath
import re

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextToPath
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[1]
# documents beside `docs`, and files that documents link to
PAGES = ('README.md', 'projects_readme.md', 'CHANGELOG.md',
         'configs/README.md', 'assets/rendering/LICENCES.md')
FILES = ('LICENSE', 'configs/**/*.py', 'configs/**/*.yaml', 'tools/**/*.py',
         'benchmarks/**/*.py', 'demo/*.py')

_LINK = re.compile(r'(\]\(|\bsrc="|\bhref=")(?![a-z]+:|#)([^)\s"#]+)')
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_FENCE = re.compile(r'^\s*(```|~~~)')

_TYPESETTER = TextToPath()
# other names of what Matplotlib's typesetter knows
_SYNONYMS = {
    r'\lVert': r'\|',
    r'\rVert': r'\|',
    r'\lvert': '|',
    r'\rvert': '|'
}
_UNITS = TextToPath.FONT_SCALE  # of a picture to the font's height
_COMMANDS = {
    Path.MOVETO: 'M',
    Path.LINETO: 'L',
    Path.CURVE3: 'Q',
    Path.CURVE4: 'C'
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside ``docs``."""
    for name in PAGES:
        files.append(
            File.generated(config, name, abs_src_path=str(ROOT / name)))
    for pattern in FILES:
        for path in sorted(ROOT.glob(pattern)):
            # never as a page, though its name may end in .md
            file = File.generated(
                config,
                path.relative_to(ROOT).as_posix(),
                abs_src_path=str(path))
            if not file.is_documentation_page():
                files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig,
                     files: Files) -> str:
    """Turn links of the repository into links of the site."""
    here = page.file.src_uri
    if here not in PAGES:
        here = f'docs/{here}'
    # where raw HTML, which MkDocs leaves alone, is looked up from
    folder = posixpath.dirname(page.file.src_uri)
    lines, fenced = [], False
    for line in markdown.split('\n'):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            line = _LINK.sub(lambda m: m[1] + _site_link(m[2], here, folder),
                             line)
        lines.append(line)
    return '\n'.join(lines)


def _site_link(link: str, here: str, folder: str) -> str:
    """A link of the document ``here`` as one between files of the site."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    return posixpath.relpath(target.removeprefix('docs/'), folder or '.')


def on_page_content(content: str, page: Page, config: MkDocsConfig,
                    files: Files) -> str:
    """Draw the formulas."""

    def draw(match: re.Match) -> str:
        block = match[1] == 'div'
        return formula(html.unescape(match[2]).strip(), block)

    return _FORMULA.sub(draw, content)


def formula(tex: str, block: bool) -> str:
    """A formula in TeX's language as SVG, in the colour of the text.

    Matplotlib's own typesetter draws it, so that a page needs no script.

    Args:
        tex (str): The formula; ``\\\\`` ends a line, ``&`` is left out.
        block (bool): Whether it stands alone.

    Returns:
        str: An HTML element.

    Raises:
        ValueError: If Matplotlib cannot read the formula.
    """
    lines = [
        ' '.join(line.replace('&', '').split()) for line in tex.split('\\\\')
        if line.strip()
    ]
    drawn = '<br>'.join(_draw_line(line) for line in lines)
    tag = 'div' if block else 'span'
    return (f'<{tag} class="formula" role="img" '
            f'aria-label="{html.escape(tex)}">{drawn}</{tag}>')


def _draw_line(tex: str) -> str:
    """One line as an SVG whose unit is the height of the font."""
    for name, known in _SYNONYMS.items():
        tex = tex.replace(name, known)
    with matplotlib.rc_context({'mathtext.fontset': 'cm'}):
        font = FontProperties(size=_UNITS)
        width, height, descent = _TYPESETTER.get_text_width_height_descent(
            f'${tex}$', font, ismath=True)
        path = Path(*_TYPESETTER.get_text_path(font, f'${tex}$', ismath=True))
    strokes = ''.join(
        'Z' if code == Path.CLOSEPOLY else _COMMANDS[code] +
        ' '.join(f'{x:.1f}' for x in points)
        for points, code in path.iter_segments(simplify=False, curves=True))
    # paths point up, pictures down
    return (f'<svg viewBox="0 {descent - height:.1f} {width:.1f} '
            f'{height:.1f}" style="width:{width / _UNITS:.3f}em;'
            f'height:{height / _UNITS:.3f}em;'
            f'vertical-align:{-descent / _UNITS:.3f}em" aria-hidden="true">'
            f'<path transform="scale(1 -1)" fill="currentColor" '
            f'd="{strokes}"/></svg>')
