"""Run folders → one self-contained HTML page. What a folder says is not trusted: it is bounded, verified and escaped.

folder      reading a run folder without following a link out of it
gather      a run folder's text: configuration, numbers, curves
pictures    its pictures and films, verified and packed
explorer    a decoder of a latent plane, packed for the page
flow        points on their way from noise to data, packed for the page
constraints  resemblance, coverage, likelihood, novelty, stochasticity: a number for each
compare     what several runs say of the same thing, side by side
render      all of it as one page, by the templates in page/
"""
