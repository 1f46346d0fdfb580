"""The article's case studies again: ours and the article's settings, and one page of both beside the article's numbers.

plan       which of genexp.article.cases are to do, on which data, and about how long that takes
carry_out  doing them, one after the other
page       the report of all, beside genexp.article.numbers
"""
