"""Diagnosis of an examination: what is wrong, where it starts, what to try."""

from jaxdl.x_ray.diagnosis.judgement import diagnose as diagnose
from jaxdl.x_ray.diagnosis.judgement import VERDICTS as VERDICTS
from jaxdl.x_ray.diagnosis.thresholds import Thresholds as Thresholds
