"""How a question reaches the judge's endpoint.

client.py   asks one question: retries, waiting, cost
cache.py    keeps the judgements on disk
trial.py    has one answer judged before anything is trained
"""
