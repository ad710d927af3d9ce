"""Hot paths: typed in, JSON or bytes out; each module gives `router(context)`."""
