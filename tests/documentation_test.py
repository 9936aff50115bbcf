"""Tests for the documentation's site and for the code in its pages."""

import html.parser
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from urllib import parse

from absl.testing import absltest
from absl.testing import parameterized
import jaxdl
from mkdocs import config as mkdocs_config

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_RUN_BY_READERS = (
  'concepts.md',
  'how_to/activation.md',
  'how_to/data.md',
  'how_to/sweep.md',
)


class _Page(html.parser.HTMLParser):
  """The addresses that a page points to, and the places in it."""

  def __init__(self, path):
    super().__init__()
    self.links = []
    self.loaded = []
    self.places = set()
    self.feed(path.read_text('utf-8'))

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.places |= {found[name] for name in ('id', 'name') if found.get(name)}
    if tag == 'a' and found.get('href'):
      self.links.append(found['href'])
    if tag in ('script', 'img', 'iframe') and found.get('src'):
      self.loaded.append(found['src'])
    if tag == 'link' and found.get('rel') != 'canonical' and 'href' in found:
      self.loaded.append(found['href'])


def _nav_pages(nav):
  """The pages that a navigation names, at any depth."""
  if isinstance(nav, str):
    return [nav]
  below = nav.values() if isinstance(nav, dict) else nav
  return [page for each in below for page in _nav_pages(each)]


def _public(module):
  """The public functions and classes of a module: names and objects.

  Of a package those that its `__init__` has, of a module those that it defines.
  """
  is_package = hasattr(module, '__path__')
  for name, value in vars(module).items():
    if name.startswith('_') or not (
      inspect.isfunction(value) or inspect.isclass(value)
    ):
      continue
    owner = value.__module__
    if owner == module.__name__ or (
      is_package and owner.startswith(f'{module.__name__}.')
    ):
      yield name, value


class SiteTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls.site = pathlib.Path(folder) / 'site'
    command = [
      sys.executable,
      '-m',
      'mkdocs',
      'build',
      '--strict',
      '--site-dir',
    ]
    cls.build = subprocess.run(
      [*command, str(cls.site)],
      cwd=_ROOT,
      capture_output=True,
      text=True,
    )
    cls.config = mkdocs_config.load_config(str(_ROOT / 'mkdocs.yml'))
    cls.pages = {
      path.relative_to(cls.site): _Page(path)
      for path in sorted(cls.site.rglob('*.html'))
    }

  def test_builds_without_a_warning(self):
    self.assertEqual(self.build.returncode, 0, self.build.stderr)
    self.assertNotRegex(self.build.stderr, '(?m)^(WARNING|ERROR)')

  def test_pages_of_the_navigation_exist(self):
    named = _nav_pages(self.config['nav'])
    self.assertGreater(len(named), 30)
    for page in named:
      self.assertIn(pathlib.Path(page).with_suffix('.html'), self.pages)

  def test_every_link_leads_somewhere(self):
    for path, page in self.pages.items():
      if path.name == '404.html':  # Its links are from the top of a server.
        continue
      for link in page.links:
        address = parse.urlsplit(link)
        if address.scheme or address.netloc:
          continue
        there = parse.unquote(address.path)
        target = (self.site / path).parent / there if there else None
        if target is None:
          target = self.site / path
        if target.is_dir():
          target = target / 'index.html'
        self.assertTrue(target.exists(), f'{path}: {link}')
        if address.fragment and target.suffix == '.html':
          place = parse.unquote(address.fragment)
          places = self.pages[target.resolve().relative_to(self.site)].places
          self.assertIn(place, places, f'{path}: {link}')

  def test_lists_are_lists(self):
    """An item that follows a block of the one before it needs a blank line."""
    for path in self.pages:
      text = (self.site / path).read_text('utf-8')
      text = re.sub(r'<pre.*?</pre>|<script.*?</script>', '', text, flags=re.S)
      for paragraph in re.findall(r'<p>.*?</p>', text, re.S):
        self.assertNotRegex(paragraph, r'\n(- |\d+\. |\| |```)', str(path))

  def test_asks_nothing_of_the_network(self):
    for path, page in self.pages.items():
      for loaded in page.loaded:
        self.assertFalse(parse.urlsplit(loaded).netloc, f'{path}: {loaded}')
    for path in self.site.rglob('*.css'):
      for url in re.findall(
        r'url\(["\']?(https?:|//)', path.read_text('utf-8')
      ):
        self.fail(f'{path}: {url}')

  def test_public_name_is_in_the_api(self):
    described = re.findall(
      r'^::: (\S+)$',
      ''.join(path.read_text() for path in (_ROOT / 'docs/api').glob('*.md')),
      re.MULTILINE,
    )
    self.assertIn('jaxdl.layers', described)
    places = set().union(
      *(
        page.places
        for path, page in self.pages.items()
        if path.parts[0] == 'api'
      )
    )
    for name in described:
      try:
        module = importlib.import_module(name)
      except ModuleNotFoundError:
        continue  # A function, described by itself.
      for public, value in _public(module):
        self.assertTrue(
          {f'{name}.{public}', f'{value.__module__}.{public}'} & places,
          f'{name}.{public} is in no page of docs/api',
        )

  def test_every_public_package_is_in_the_api(self):
    names = {path.stem for path in (_ROOT / 'docs/api').glob('*.md')}
    self.assertContainsSubset(jaxdl._MODULES, names)
    page = (_ROOT / 'docs/api/jaxdl.md').read_text()
    for name in jaxdl._FUNCTIONS:
      self.assertIn(f'[`jaxdl.{name}`]', page)

  def test_sections_of_the_readme_are_shown_where_they_are_asked_for(self):
    for path in sorted((_ROOT / 'docs').rglob('*.md')):
      if '<!-- README' in path.read_text():
        shown = path.relative_to(_ROOT / 'docs').with_suffix('.html')
        self.assertNotIn('README:', (self.site / shown).read_text('utf-8'))


class CodeTest(parameterized.TestCase):
  @parameterized.parameters(*_RUN_BY_READERS)
  def test_code_of_a_page_runs(self, name):
    """From top to bottom, as one would paste it."""
    text = (_ROOT / 'docs' / name).read_text()
    code = '\n'.join(re.findall(r'^```python\n(.*?)^```', text, re.M | re.S))
    self.assertNotEmpty(code)
    with tempfile.TemporaryDirectory() as folder:
      done = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(_ROOT)},
        capture_output=True,
        text=True,
      )
    self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == '__main__':
  absltest.main()
