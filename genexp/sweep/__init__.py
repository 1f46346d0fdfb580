"""`genexp run -m`: many runs, by Hydra's own launchers, in one folder with one table.

    sweep.yaml sweep.csv sweep.png gallery.png costs.png histories.png 0/ 1/ 2/ … _aside/

plan: what is to be done · launchers: by whom · job: one of them, wherever it runs · table: what came out · gallery: as
pictures.
"""
