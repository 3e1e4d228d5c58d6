"""The pattern files shipped with the package (``*.yaml``)."""
