"""Commands for users' own programs: run and doctor."""
