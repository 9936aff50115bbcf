"""Benchmarks: jaxdl beside what it replaces; run by `./run.sh benchmark`."""
