"""One small Python class per widget: a constant template and the name of an ES module."""
