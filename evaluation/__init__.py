"""Evaluation on published problem sets (HumanEval, MBPP): problems, answers, pass@k and what failed how."""
