"""Code that the labs share: generating the files of a study, and measuring its recipes."""
