"""What messages name: the commands that mend what they report."""
