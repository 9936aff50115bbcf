"""What a diagnosis says, in words: `report.diagnose()`."""

from collections.abc import Iterator, Sequence
import html
import math
import re
import textwrap

from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import formatting
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import results
from jaxdl.x_ray.diagnosis import path

Finding = finding_lib.Finding

_WIDTH = 80
_CODE = re.compile('`([^`]*)`')


class Diagnosis(Sequence[Finding]):
  """Findings, the worst first; a sequence of them, and printed as a list.

  It is empty, and so false, where nothing is wrong.

  Attributes:
    findings: what is wrong.
    evidence: the numbers that a healthy model's verdict rests on, in words.
  """

  def __init__(
    self,
    examination: results.Examination,
    findings: Sequence[Finding],
  ):
    self.findings = tuple(findings)
    self.evidence = health(examination)

  def __getitem__(self, i):
    return self.findings[i]

  def __iter__(self) -> Iterator[Finding]:
    return iter(self.findings)

  def __len__(self) -> int:
    return len(self.findings)

  @property
  def title(self) -> str:
    """The diagnosis in a few words."""
    if not self.findings:
      return 'healthy'
    first, *others = self.findings
    place = f' at {first.where}' if first.where else ''
    more = f'; {len(others)} more below' if others else ''
    return f'{formatting.words(first.verdict)}{place}{more}'

  @property
  def headline(self) -> str:
    """The diagnosis in one sentence."""
    if not self.findings:
      return 'Healthy: nothing that is known to stop training was found.'
    return _capital(self.title)

  def to_text(self, width: int = _WIDTH) -> str:
    """Writes it in lines of at most `width` characters."""
    if not self.findings:
      return '\n'.join(
        [self.headline, *(_item('- ', text, width) for text in self.evidence)]
      )
    return '\n\n'.join(
      _written(i + 1, finding, width) for i, finding in enumerate(self.findings)
    )

  def __str__(self) -> str:
    return self.to_text()

  __repr__ = __str__

  def _repr_html_(self) -> str:
    return to_html(self)


def health(examination: results.Examination) -> tuple[str, ...]:
  """The numbers by which a model is healthy, a sentence each."""
  lines = lines_lib.of(examination)
  values = [line for line in lines if line.kind == 'value']
  sentences = [
    _decades([line for line in values if line.is_cut]),
    _forward(values),
    _shares(values),
    _gradients(examination),
    _updates(lines),
  ]
  return tuple(filter(None, sentences))


def to_html(diagnosis: Diagnosis) -> str:
  """The diagnosis as HTML, all text escaped."""
  if not diagnosis.findings:
    items = ''.join(f'<li>{html.escape(s)}</li>' for s in diagnosis.evidence)
    headline = html.escape(diagnosis.headline)
    return f'<p class="healthy">{headline}</p><ul>{items}</ul>'
  return f'<ol>{"".join(map(_finding_html, diagnosis.findings))}</ol>'


def _finding_html(finding: Finding) -> str:
  remedies = ''.join(f'<li>{_prose(s)}</li>' for s in finding.remedies)
  cures = f'<p>Try, in this order:</p><ol>{remedies}</ol>' if remedies else ''
  where = f' <code>{html.escape(finding.where)}</code>' if finding.where else ''
  return (
    f'<li><p><strong>{html.escape(_capital(formatting.words(finding.verdict)))}</strong>{where}'
    f'<br>{_prose(_capital(finding.evidence))}</p>{cures}</li>'
  )


def _prose(text: str) -> str:
  """Escapes a text; what stands in backticks is code."""
  return _CODE.sub(r'<code>\1</code>', html.escape(text))


def _written(number: int, finding: Finding, width: int) -> str:
  head = f'{number}. {_capital(formatting.words(finding.verdict))}'
  head += f': {finding.where}' if finding.where else ''
  parts = [head, _item('   ', _capital(finding.evidence), width)]
  if finding.remedies:
    parts.append('   Try, in this order:')
    parts += [_item('   - ', remedy, width) for remedy in finding.remedies]
  return '\n'.join(parts)


def _item(mark: str, text: str, width: int) -> str:
  return textwrap.fill(
    text,
    width,
    initial_indent=mark,
    subsequent_indent=' ' * len(mark),
    break_long_words=False,
    break_on_hyphens=False,
  )


def _capital(text: str) -> str:
  return text[:1].upper() + text[1:]


def _decades(cuts: Sequence[lines_lib.Line]) -> str:
  known = [line for line in cuts if math.isfinite(line.decades)]
  if not known:
    return ''
  low = min(known, key=lambda line: line.decades)
  high = max(known, key=lambda line: line.decades)
  return (
    'Backward: over the depth the derivative of the loss is between '
    f'{formatting.number(low.backward_rms)} ({low.name}) and '
    f'{formatting.number(high.backward_rms)} ({high.name}), '
    f'{high.decades - low.decades:.1f} decades apart.'
  )


def _forward(values: Sequence[lines_lib.Line]) -> str:
  known = [line for line in values if math.isfinite(line.forward_rms)]
  if not known:
    return ''
  low = min(known, key=lambda line: line.forward_rms)
  high = max(known, key=lambda line: line.forward_rms)
  return (
    f'Forward: rms between {formatting.number(low.forward_rms)} ({low.name}) '
    f'and {formatting.number(high.forward_rms)} ({high.name}).'
  )


def _shares(values: Sequence[lines_lib.Line]) -> str:
  parts = []
  for name, what in (('dead', 'of the units dead'), ('saturated', 'saturated')):
    shares = [(getattr(x, name), x.name) for x in values if x.activation]
    known = [(x, where) for x, where in shares if not math.isnan(x)]
    share, where = max(known, default=(0.0, ''))
    if share > 0:
      parts.append(f'at most {formatting.share(share)} {what} ({where})')
    elif known:
      parts.append(f'none {what}')
  return f'Activations: {", ".join(parts)}.' if parts else ''


def _gradients(examination: results.Examination) -> str:
  parameters = examination.parameters
  zero = sum(p.gradient_zero == 1 for p in parameters)
  nonfinite = sum(p.gradient_nonfinite > 0 for p in parameters)
  total = formatting.count(len(parameters), 'parameter array')
  if not zero and not nonfinite:
    return f'Gradients: finite, and not all zero, in each of {total}.'
  waited_for = path.starting_at_zero(examination)
  if waited_for and not nonfinite:
    return (
      f'Gradients: of {total}, {zero} without any as long as '
      f'{waited_for[0].name} is zero. Train for a step, and look again: this '
      'X-ray can tell little of what comes before it.'
    )
  return (
    f'Gradients: of {total}, {zero} without any and {nonfinite} with one that '
    'is not finite.'
  )


def _updates(lines: Sequence[lines_lib.Line]) -> str:
  ratios = [x.update_ratio for x in lines if math.isfinite(x.update_ratio)]
  if not ratios:
    return ''
  low, high = map(formatting.number, (min(ratios), max(ratios)))
  return f'The optimizer moves the parameters by {low} to {high} of their norm.'
