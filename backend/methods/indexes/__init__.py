"""What is like this?"""
