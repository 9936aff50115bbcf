"""Runs an experiment by its name, or lists them: `python -m experiments help`.

Needs nothing beyond the standard library, so that the list is there before the
requirements are installed.
"""

import ast
import pathlib
import runpy
import sys


def experiments() -> dict[str, str]:
  """Returns each experiment with its question: its docstring's first line."""
  found = {}
  for path in sorted(pathlib.Path(__file__).parent.glob('[!_]*.py')):
    source = path.read_text()
    if "\nif __name__ == '__main__':" in source:
      docstring = ast.get_docstring(ast.parse(source)) or ''
      found[path.stem] = docstring.partition('\n')[0]
  return found


def usage() -> str:
  """Returns the page that `help` prints."""
  lines = ['Experiments; `--help` after a name shows its flags:', '']
  for name, question in experiments().items():
    lines += [f'  {name}', f'      {question}']
  return '\n'.join(lines)


def main() -> None:
  """Runs the experiment that the command line names first."""
  name, *arguments = sys.argv[1:] or ['help']
  if name in ('help', '--help', '-h'):
    print(usage())
  elif name in experiments():
    sys.argv[1:] = arguments
    runpy.run_module(f'experiments.{name}', run_name='__main__', alter_sys=True)
  else:
    names = ', '.join(experiments())
    print(
      f"No experiment is called '{name}'; there are: {names}.", file=sys.stderr
    )
    sys.exit(2)


if __name__ == '__main__':
  main()
