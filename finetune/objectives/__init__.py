"""What a full-length run trains besides the objectives of a recipe.

kto           TRL's KTOTrainer on the pairs of a study. Imports torch and trl
reward        TRL's RewardTrainer on the pairs of the REWARD store. Imports torch and trl
"""
