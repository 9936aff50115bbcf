"""Text that is not what it should be, for the tests of what shows it."""

import collections
from html import parser

# Of HTML, scripts, templates, formulas, tables, consoles and terminals.
MARKS = (
  '<script>alert(1)</script>',
  '</script><!--',
  '"\'><img src=x onerror=alert(1)>',
  '&amp;<b>',
  '{{data}}%s{0}',
  r'$\undefined$',
  '$',
  '[red]x[/red]',
  '[/]',
  '| `a`',
  '\x1b[31m',
  '\u2028',
  '\udcff',
)
TEXT = ' '.join(MARKS) + '\n\n<i>'


def elements(document: str) -> collections.Counter[str]:
  """Counts the elements of a document by their tags."""
  found: collections.Counter[str] = collections.Counter()
  reader = parser.HTMLParser()
  reader.handle_starttag = lambda tag, _: found.update([tag])  # type: ignore
  reader.feed(document)
  return found
