"""How claims, and the runs that show them, are written down. The article's are in `article/`, the lectures' in `lectures/`."""
