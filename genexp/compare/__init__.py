"""`genexp compare`: runs beside each other, as a table."""
