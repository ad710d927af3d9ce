"""Formulas: arrays in, arrays out, no files and no screen."""
