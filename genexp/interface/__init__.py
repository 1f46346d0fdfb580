"""What Python programs and notebooks see of genexp: runs that are trained and opened, and that show themselves."""
