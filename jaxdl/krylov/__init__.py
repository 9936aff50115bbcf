"""Spectra of linear maps known only by their products with vectors."""
