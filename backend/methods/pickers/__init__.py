"""What should a person look at next?"""
