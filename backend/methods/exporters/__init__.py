"""How do they take it home?"""
