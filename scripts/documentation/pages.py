"""Pages of the documentation's site that are written elsewhere: an MkDocs hook.

Notebooks become pages, never executed. `<!-- README: heading -->` in a page is
replaced by what README.md says under that heading, so that nothing is written
twice.
"""

import json
import pathlib
import re
from typing import Any

import markdown
from mkdocs import exceptions
from mkdocs.config import defaults
from mkdocs.structure import files as files_lib

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_INDENTATION = 2  # Of what belongs to a list item: as GitHub reads Markdown.
_MARKER = re.compile(r'<!-- README: (.+?) -->')


class _Indentation(markdown.Extension):
  """Reads two spaces as an indentation, where Python-Markdown wants four."""

  def extendMarkdown(self, md: markdown.Markdown) -> None:
    """Builds the parser anew, whose parts keep the indentation they began with.

    So this comes before all other extensions.
    """
    md.tab_length = _INDENTATION
    md.build_parser()


def on_config(config: defaults.MkDocsConfig) -> defaults.MkDocsConfig:
  """Has Markdown read as it is read on GitHub.

  Args:
    config: of the site.
  """
  config.markdown_extensions.insert(0, _Indentation())  # type: ignore
  return config


def on_files(
  files: files_lib.Files, *, config: defaults.MkDocsConfig
) -> files_lib.Files:
  """Adds each notebook, as a page and as a file to download.

  Args:
    files: of the site.
    config: of the site.
  """
  for path in sorted((_ROOT / 'notebooks').glob('*.ipynb')):
    page = files_lib.File.generated(
      config, f'notebooks/{path.stem}.md', content=notebook_page(path)
    )
    download = files_lib.File.generated(
      config, f'notebooks/{path.name}', abs_src_path=str(path)
    )
    files.append(page)
    files.append(download)
  return files


def on_page_markdown(markdown: str, **_: Any) -> str:
  """Puts sections of README.md where a page asks for them.

  Args:
    markdown: of the page.
  """
  return _MARKER.sub(lambda match: readme_section(match[1]), markdown)


def readme_section(heading: str) -> str:
  """Returns what README.md says under a heading, with links from docs/.

  Args:
    heading: its text.

  Raises:
    PluginError: there is no such heading.
  """
  text = (_ROOT / 'README.md').read_text('utf-8')
  sections = re.split(r'^#+ (.+)\n', text, flags=re.MULTILINE)
  found = dict(zip(sections[1::2], sections[2::2], strict=True))
  if heading not in found:
    raise exceptions.PluginError(
      f'README.md has no heading {heading!r}; it has {", ".join(found)}'
    )
  return found[heading].strip().replace('](docs/', '](')


def notebook_page(path: pathlib.Path) -> str:
  """Returns a notebook as Markdown: its text, and its code in fences.

  Args:
    path: of the notebook, without outputs.
  """
  cells = json.loads(path.read_text('utf-8'))['cells']
  parts = []
  for cell in cells:
    source = ''.join(cell['source'])
    source = re.sub(r'\]\((\w+)\.ipynb\)', r'](\1.md)', source)
    fenced = f'```python\n{source}\n```'
    parts.append(source if cell['cell_type'] == 'markdown' else fenced)
  note = (
    f'[Download this notebook]({path.name}){{ .md-button download }} and '
    '[open it](../how_to/notebooks.md), on your machine or in Colab.'
  )
  title, *rest = parts
  return '\n\n'.join([title, note, *rest]) + '\n'
