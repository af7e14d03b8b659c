"""People dressed from the assets folder."""
