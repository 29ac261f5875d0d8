"""What is asked about a model before it is used, and the proof of each answer.

Goes in: questions, candidates, golden pictures and trials. Stays out: how a file is read
(`models.identify`) and the sheet that asks (`app.qt.setup`).
"""
