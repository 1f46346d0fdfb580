"""The article's case studies again: ours and the article's settings, and one page of both beside the article's numbers.

article    what the article says, and which number of ours is the same thing
cases      the runs: a list, to which a new case is one more record
plan       which of them are to do, on which data, and about how long that takes
carry_out  doing them, one after the other
page       the report of all
"""
