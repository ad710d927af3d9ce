"""The product without a screen: methods, memory, learning."""
