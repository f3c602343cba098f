"""Evaluation of a model: on published problem sets (HumanEval, MBPP) with pass@k and what failed how, and on a study's
own prompts (own_study/); llama_cpp/ answers for quantised models."""
