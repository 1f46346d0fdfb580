"""All that belongs to the article alone. No model, measure or picture elsewhere knows of it.

numbers     what it says, and which number of ours is the same thing
cases       the runs that are held against it: its own settings (conf/experiment/seminar) and ours
notebooks   its case studies as a notebook has them, and `qualities`, how good it took a model to be
bijections, latent, measures, pictures
            its library's layers, its mistakes and its objective: members like those of the rooms of these names
"""
