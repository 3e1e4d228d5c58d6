"""The actions of the custom monitor protocol."""
