"""What did they bring?"""
