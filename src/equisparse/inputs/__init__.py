"""What a user gives, turned into frames, bases and adapters."""
