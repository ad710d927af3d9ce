"""The screen: a web app on Gradio. Sees one module of the backend, `backend.api`."""
