"""Experiments: one question a file, run by `./run.sh <experiment>`."""
