"""The folder of MakeHuman assets that a user names, and the base mesh that its clothes refer to."""
