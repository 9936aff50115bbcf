"""What made a loss or its gradients NaN or infinite, by the user's names."""

from collections.abc import Sequence
import re

from jaxdl.tracing import culprit as culprit_lib
from jaxdl.tracing import nonfinite
from jaxdl.tracing import parameters as parameters_lib
from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import naming

_VERDICT = 'nonfinite'
_HUNT = 'first_nonfinite'
_PARAMETER = re.compile(r'params/(\d+)')


def find(subject: examination_lib.Subject) -> nonfinite.NonFinite:
  """Finds the operation, or the argument, that is to blame.

  Args:
    subject: what was examined.

  Raises:
    RuntimeError: if the loss is not the same when it is evaluated again.
  """
  adapted = subject.adapted
  hunt = nonfinite.first_nonfinite(adapted.loss, has_aux=subject.has_aux)
  found = hunt(adapted.params, adapted.rest, *subject.args)
  uses = parameters_lib.uses(subject.traced.graph, range(len(adapted.params)))
  names = naming.Naming(uses, adapted.names)
  return nonfinite.NonFinite(
    *(_named(culprit, names, adapted.names) for culprit in found)
  )


def explained(
  findings: Sequence[finding_lib.Finding], subject: examination_lib.Subject
) -> tuple[finding_lib.Finding, ...]:
  """Adds to the finding of NaN and infinities what is to blame for them.

  Args:
    findings: of an examination of the subject.
    subject: what was examined; it is evaluated again where there is such a
      finding.
  """
  if not any(finding.verdict == _VERDICT for finding in findings):
    return tuple(findings)
  try:
    found = find(subject)
    blame = str(found.forward or found.backward or '')
  except RuntimeError as error:  # The report has to be shown all the same.
    blame = f'The operation could not be found: {error}'
  return tuple(
    _explained(finding, blame) if finding.verdict == _VERDICT else finding
    for finding in findings
  )


def _explained(finding: finding_lib.Finding, blame: str) -> finding_lib.Finding:
  """Nobody has to be sent on the hunt, since it is over."""
  if not blame:
    return finding
  return finding._replace(
    evidence=f'{finding.evidence}. {blame}',
    remedies=tuple(x for x in finding.remedies if _HUNT not in x),
  )


def _named(
  culprit: culprit_lib.Culprit | None,
  names: naming.Naming,
  parameters: Sequence[str],
) -> culprit_lib.Culprit | None:
  if culprit is None:
    return None
  if culprit.primitive != 'argument':
    return culprit._replace(scope=names.module(culprit.scope))
  match = _PARAMETER.fullmatch(culprit.scope)
  name = parameters[int(match[1])] if match else culprit.scope
  return culprit._replace(scope=name)
