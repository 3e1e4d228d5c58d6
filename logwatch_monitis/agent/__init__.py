"""The daemon: reads what happens now and sees that it is delivered."""
