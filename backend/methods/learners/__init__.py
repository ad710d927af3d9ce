"""What do the corrections change?"""
