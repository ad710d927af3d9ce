"""A project on disk: database, media, log of corrections, vectors, versions."""
