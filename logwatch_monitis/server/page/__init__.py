"""The page that people look at: from a request to HTML, JSON, CSV or XML."""
