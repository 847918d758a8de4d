"""The main job over a corpus of any size: many files, many targets, on one machine or on many.

    sources -> search (finding, sampling) -> learning -> reading -> summary
                      the work of the last two steps runs on an engine: engines.Local, or ray_engine.Ray

`run.run` is the whole on one screen; `folder` keeps what a run has done, so that a broken one goes on.
"""
