"""The dictionary: WordNet 3.0, its senses in the model's space, disambiguation against it, and names for senses.

pull.py --> wordnet.py --> glosses.py --+
                                        +--> scoring.py --> disambiguate.py, naming.py
tagged.py --> fit.py --> vectors.py ----+
"""
