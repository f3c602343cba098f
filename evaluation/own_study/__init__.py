"""``nightlane evaluate STUDY``: a study's base model and adapters on its own prompts, by its own scorer.

evaluate.py            from a request to the figures and the folder that holds them
answers.py             the sides that answer, and the scored answers of one side and seed
answering_models.py    the model of a side: on the base, merged, or merged and quantised by llama.cpp
stored.py              scored answers on disk, which a later evaluation of the same side and seed uses again
adapters.py            refuses an adapter that does not belong to the study's base model
figures.py             differences from the base with intervals, and examples; pure
"""
