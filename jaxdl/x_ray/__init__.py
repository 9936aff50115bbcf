"""X-ray: what flows through anybody's model, unchanged, and what ails it."""

from jaxdl.x_ray.examination import Examination as Examination
from jaxdl.x_ray.examination import examine as examine
from jaxdl.x_ray.examination import Parameter as Parameter
from jaxdl.x_ray.examination import Row as Row
from jaxdl.x_ray.examination import Subject as Subject
from jaxdl.x_ray.examination import subject as subject
from jaxdl.x_ray.finding import Finding as Finding
from jaxdl.x_ray.report import Report as Report
from jaxdl.x_ray.report import xray as xray
from jaxdl.x_ray.watching import TrainingWarning as TrainingWarning
from jaxdl.x_ray.watching import watch as watch
from jaxdl.x_ray.watching import WatchWarning as WatchWarning
