"""Options and answers of every task, as pydantic schemas."""
