"""A recipe on a dataset: a report with numbers, against a baseline."""
