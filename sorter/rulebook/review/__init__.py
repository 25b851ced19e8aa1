"""What a rule set means, exactly, and what in it deserves a look."""
