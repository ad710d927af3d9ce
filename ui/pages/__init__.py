"""Layout of each page: which widgets it holds; no logic."""
