"""How well does each part fit each label?"""
