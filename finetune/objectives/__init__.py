"""Objectives that only a full-length run has; a recipe cannot name them.

kto           TRL's KTOTrainer on the pairs of a study. Imports torch and trl
reward        TRL's RewardTrainer on the pairs of the REWARD store. Imports torch and trl
"""
