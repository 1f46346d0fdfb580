"""What the lectures and the article claim, run again: one page of every number beside what is claimed of it and what is known.

chapters   what there is to show: `genexp.lectures`, a module for each chapter, and `genexp.article`
plan       which of its cases are to do, on which data, and about how long that takes
carry_out  doing them
page       the report of all
"""
