"""How fast this machine runs the case studies, against a plain notebook loop and other libraries."""
