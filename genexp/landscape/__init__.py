"""`genexp landscape`: the whole field, measured. Whatever it shows is read from run folders; nothing of it is typed.

plan: which runs there should be · carry_out: those that are missing · families, entries: what a run folder says of its model
thumbnails: what its samples look like · frontier, glance, gallery: the picture, the table, the grid · page: all of it as one page
"""
