"""The custom monitor protocol, for client and server, so that they cannot disagree."""
