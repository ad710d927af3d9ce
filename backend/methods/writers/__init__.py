"""How do we say it in words, and by which examples?"""
