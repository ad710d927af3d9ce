"""What does it look or sound like, as numbers?"""
