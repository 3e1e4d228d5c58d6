"""The wire: the custom monitor protocol, for both ends, so that they cannot disagree."""
