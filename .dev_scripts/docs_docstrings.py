"""Extension of Griffe: mmpose's docstrings, which are RST, as Markdown."""
import re
import textwrap
from typing import Any

import griffe

# :class:`Name`, :meth:`~Class.name`
_ROLE = re.compile(r':(?:class|data|func|meth|mod):`~?([^`]+)`')
_MATH = re.compile(r':math:`([^`]+)`')
_MATH_BLOCK = re.compile(r'^( *)\.\. math::(.*(?:\n(?:\1 +.*| *))*)',
                         re.MULTILINE)
_LITERAL = re.compile(r'^( *)(.*):(:)\n((?:\n|\1 +.*\n?)+)', re.MULTILINE)
_TABLE = re.compile(
    r'^( *)=+(?: +=+)+\n(?:.*\n)*?\1=+(?: +=+)+\n'
    r'(?:(?:\1(?! *=).+\n)+\1=+(?: +=+)+$)?', re.MULTILINE)

# code and formulas, where an asterisk is one already
_VERBATIM = re.compile(
    r'(```.*?```|``[^`]+``|`[^`]+`|\$\$.*?\$\$|\$[^$\n]+\$)', re.DOTALL)
# a product, as in (B, G*C, H, W): no emphasis
_PRODUCT = re.compile(r'(?<=\w)\*(?=\w)')


def to_markdown(docstring: str) -> str:
    """Rewrite the RST that this project's docstrings use."""
    docstring = _MATH_BLOCK.sub(_math_block, docstring + '\n').rstrip('\n')
    docstring = _MATH.sub(lambda m: '$' + ' '.join(m[1].split()).strip() + '$',
                          docstring)
    docstring = _LITERAL.sub(
        lambda m: f'{m[1]}{m[2]}:\n\n' + _fenced(m[4], m[1]), docstring + '\n')
    docstring = _TABLE.sub(lambda m: _fenced(m[0], m[1]), docstring)
    docstring = _ROLE.sub(r'`\1`', docstring).rstrip('\n')
    parts = _VERBATIM.split(docstring)
    parts[::2] = [_PRODUCT.sub(r'\\*', part) for part in parts[::2]]
    return ''.join(parts)


def _fenced(text: str, indent: str) -> str:
    text = textwrap.indent(
        textwrap.dedent(text.strip('\n')).strip('\n'), indent)
    return f'{indent}```text\n{text}\n{indent}```\n\n'


def _math_block(match: re.Match) -> str:
    indent = match[1]
    lines = [line.strip() for line in match[2].split('\n') if line.strip()]
    return f'{indent}$$\n{indent}' + f'\n{indent}'.join(
        lines) + f'\n{indent}$$\n\n'


class MarkdownDocstrings(griffe.Extension):
    """Rewrites each docstring before its sections are read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)
