"""LLM-as-judge: how a model is asked to judge, how its replies are validated, and whether it can be trusted.

scorer.py            the scorer, ``[scorer] kind = "judge"``; settings.py has its keys
batch.py             asks many questions at once, through requests/
question.py          the messages, made from the rubric (rubric.py)
question_kinds.py    the two kinds of question: score an answer, or choose between two (preference.py)
judgement.py         reads a reply, which is untrusted
examiner.py          tests the judge with canaries and a calibration set (calibration.py); examination.py is the
                     result, and epoch.py keeps what follows from it

The digest of a scorer is also that of its source file: an edit of scorer.py, even of an import, makes all earlier
readings of judged studies incomparable.
"""
