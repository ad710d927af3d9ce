"""The shelves: one folder per question, one file per method, none knows another."""
