"""How sure are we, honestly?"""
